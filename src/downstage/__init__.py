"""Downstage refreshes a lower AWS environment from production, with personal data pseudonymised, and proves it.

The library's API is `downstage.app.runs.Project`; the command line is a thin layer over it.
"""

__version__ = "0.1.0"
