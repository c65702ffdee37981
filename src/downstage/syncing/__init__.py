"""Making one bucket hold what another holds: two sorted listings, one merge, a cursor."""
