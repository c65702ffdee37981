"""The configuration: one YAML file, environment variables above it, the command line above both.

`load.load` reads it, `schema` says what it may hold, `example.template` writes a first one. Nothing is
re-exported here, so that `python -m downstage.config.schema` runs without importing the module twice.
"""
