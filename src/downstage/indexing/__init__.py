"""Documents made straight from the target's tables, for a search domain that its streams cannot fill any more."""
