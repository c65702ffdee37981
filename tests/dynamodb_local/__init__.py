"""Amazon's own DynamoDB engine, DynamoDB Local: fetched when the tests run, never shipped (its licence says so).

It listens on every address and cannot be told otherwise, so it and the tests that talk to it run in a network namespace
that has nothing but loopback. `fetch` gets it, `namespace` runs both, `run` runs one of the suites that way.
"""
