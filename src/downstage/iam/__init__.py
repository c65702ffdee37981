"""Least privilege, derived: what each role of a refresh must be allowed, told from the plan alone. Pure, no I/O.

Rules: an action stands here only because code of ours makes the call; a resource is never wider than the configured
name or pattern; what the configuration does not use is not allowed. Tests hold both to the code.
"""
