"""Order-independent evidence that two sets of items are the same."""
