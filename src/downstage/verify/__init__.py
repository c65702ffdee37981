"""The proof: an independent look at the target. May not import masking: a mistake there must not be repeated
here."""
