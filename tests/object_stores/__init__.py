"""Three object stores that are not AWS, and what each is known to do otherwise: `engines` starts them, `keys` are the
awkward keys and what becomes of them where.

Each listens on loopback only, on ports that were free, in a directory of the test's own, and is ended by its pid.
"""
