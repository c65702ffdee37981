"""What things are called in CI: the pipeline parameters and workflows of an environment's refresh."""

from __future__ import annotations

RUN = "downstage_run"
"""The pipeline parameter that holds the run to go on with; empty for a new one."""


SHOWN_RUN = "(run: "
"""How the title of a GitHub run begins to show the run that it goes on with, `new` for a new one; `)` ends it."""


def parameter(environment: str) -> str:
    """The pipeline parameter that starts an environment's refresh by hand, or goes on with one."""
    return f"downstage_refresh_{environment.replace('-', '_')}"


def going_on(environment: str) -> str:
    """The workflow that goes on with a run: apart from the first, so that nothing waits for the same refresh twice."""
    return f"{workflow(environment)}-on"


def workflow(environment: str) -> str:
    """The workflow, job or workflow file of an environment's refresh."""
    return f"downstage-refresh-{environment}"
