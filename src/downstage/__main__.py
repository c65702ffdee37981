"""`python -m downstage`: the same as the `downstage` command."""

from downstage.cli.main import main

main()
