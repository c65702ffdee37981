"""Strategies: one replacement each, made from its options. `make` is the registry."""
