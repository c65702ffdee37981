"""What the policies of one environment are made from: the plan of its refresh, and what else the configuration says.

Roles that the configuration does not name have a name here, in the account that they would be of; the policies are then
a proposal, and `unnamed` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from downstage.domain.environment import Environment
from downstage.domain.glue import GluePlan
from downstage.domain.launcher import Launcher
from downstage.domain.plan import RefreshPlan
from downstage.domain.schedule import SchedulePlan
from downstage.iam.arns import partition

READ_ROLE = "downstage-read"
WRITE_ROLE = "downstage-write"
LAUNCH_ROLE = "downstage-launch"


@dataclass(frozen=True, slots=True)
class Needs:
    """One environment's refresh, as far as permissions go.

    `tokens` are references (`secretsmanager:…`, `ssm:…`) to what the target's role reads: tokens of CIs.
    `control_table` is None where there is none. `schedule` is of the environment, if EventBridge keeps it. `protected`
    are the accounts that nothing may be written to.
    """

    plan: RefreshPlan
    control_table: str | None = None
    tokens: tuple[str, ...] = ()
    schedule: SchedulePlan | None = None
    schedule_prefix: str = "downstage-"
    protected: tuple[str, ...] = ()
    launcher: Launcher = field(default_factory=Launcher)

    @property
    def glue(self) -> GluePlan | None:
        """The Glue job, if one is configured."""
        return self.plan.engine.glue

    @property
    def source_role(self) -> str:
        """The ARN of the role that reads production."""
        return self.plan.source.role or _role(self.plan.source, READ_ROLE)

    @property
    def target_role(self) -> str:
        """The ARN of the role that writes the target."""
        return self.plan.target.role or _role(self.plan.target, WRITE_ROLE)

    @property
    def launch_role(self) -> str:
        """The ARN of the role that Downstage is run with."""
        return self.launcher.role or _role(self.plan.source, LAUNCH_ROLE)

    @property
    def glue_role(self) -> str | None:
        """The ARN of the Glue job's role, if there is a job."""
        return None if self.glue is None else self.glue.role

    @property
    def own_account(self) -> bool:
        """Whether the target has an account of its own, so that the source's can be denied as a whole."""
        return self.plan.source.account != self.plan.target.account

    @property
    def clones(self) -> bool:
        """Whether a refresh makes the target's tables itself."""
        return self.plan.deploy is not None and self.plan.deploy.kind == "clone"

    @property
    def source_tables(self) -> list[str]:
        """The tables that are read, each once."""
        return list(dict.fromkeys(pair.source.name for pair in self.plan.tables))

    @property
    def target_tables(self) -> list[str]:
        """The tables that are written, each once."""
        return list(dict.fromkeys(pair.target.name for pair in self.plan.tables))

    @property
    def looks_at_consumers(self) -> bool:
        """Whether the tables' consumers are compared: not, where every table may differ in them."""
        return any(not pair.terms.accepts("consumers") for pair in self.plan.tables)

    @property
    def unnamed(self) -> list[tuple[str, str, str]]:
        """(which role, the ARN that was taken for it, the setting that would name it) of those that are not named."""
        source, target = self.plan.source, self.plan.target
        found = [
            ("source", self.source_role, f"environments.{source.name}.role", source.role),
            ("target", self.target_role, f"environments.{target.name}.role", target.role),
            ("launcher", self.launch_role, "launcher.role", self.launcher.role),
        ]
        return [(which, role, setting) for which, role, setting, named in found if named is None]


def _role(place: Environment, name: str) -> str:
    return f"arn:{partition(place.region)}:iam::{place.account}:role/{name}"
