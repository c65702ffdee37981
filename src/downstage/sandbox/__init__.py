"""Two AWS accounts on this machine, seeded with a court's cases: production to read from, a test account to refresh.

    from downstage.sandbox import Sandbox
    record = Sandbox(Path("sandbox")).up()      # record.config_path is a complete downstage.yaml

Why: a refresh can be tried, taught and tested without an AWS account and without anybody's data.
Rules: pip packages only (the `sandbox` extra), loopback only, and importing this loads none of them.
"""

from downstage.sandbox.box import Sandbox
from downstage.sandbox.processes import ProcessIdentity
from downstage.sandbox.state import SandboxRecord

__all__ = ["ProcessIdentity", "Sandbox", "SandboxRecord"]
