"""Pseudonymisation: a pure function of (key, environment, pseudonym domain, value). No I/O, no state, no clock."""
