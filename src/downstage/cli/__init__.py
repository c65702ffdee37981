"""The command line: one file a command (or a small family), each a thin layer over `downstage.app`.

Rule: the modules here import nothing heavy at the top, so that `--help` answers at once. boto3, pydantic and rich come
in when a command runs.
"""
