"""Options that many commands share, with one wording each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Environment = Annotated[str, typer.Argument(help="The environment to act on, as the configuration names it.")]
Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="DOWNSTAGE_CONFIG", help="The configuration file."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
Engine = Annotated[str | None, typer.Option("--engine", help="What runs the lanes: local, serial, spark or glue.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes, or lanes on Spark or Glue, at one time.")
]
Run = Annotated[str | None, typer.Argument(help="The run's id; the newest refresh if none is named.")]

DEFAULT_CONFIG = Path("downstage.yaml")
