"""What masks, outside a refresh: the configured masking of an environment, or one without any configuration.

The rule is simple: if there is a configuration, it is used, so that a preview shows what a refresh would do. Without
one the key comes from DOWNSTAGE_MASK_KEY, and everything else has its default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from downstage.app.runs import Project
from downstage.app.wiring import Sides
from downstage.aws.secrets import KeyReader
from downstage.config.checks import canonical, cross_check
from downstage.config.masking_files import absent_files, read_masking_files
from downstage.config.problems import Whereabouts, as_error, from_validation
from downstage.config.schema import Config, json_schema
from downstage.domain.plan import MaskingPlan
from downstage.domain.policy import TablePolicy
from downstage.masking.compile import ItemMasker, TableShape, compile_masker, compile_pseudonyms
from downstage.masking.email import EmailPseudonyms
from downstage.masking.entities import pattern_of
from downstage.masking.keys import MaskKey
from downstage.masking.locked import Known, known_places

KEY_VARIABLE = "DOWNSTAGE_MASK_KEY"


@dataclass(frozen=True, slots=True)
class Setting:
    """What masks: the plan and its keys. `sides` is None where there is no configuration, and so no AWS."""

    plan: MaskingPlan
    key: MaskKey
    old_keys: tuple[MaskKey, ...]
    sides: Sides | None = None

    def masker(self, shape: TableShape) -> ItemMasker:
        """The masking of one table. Raises ConfigError if the policy cannot stand on it."""
        return compile_masker(self.plan, self.key, shape, self.old_keys)

    def pseudonyms(self) -> EmailPseudonyms:
        """The pseudonyms of the addresses."""
        return compile_pseudonyms(self.plan, self.key, self.old_keys)

    def known(self, table: str) -> Known | None:
        """What the lock knows of a table, or None."""
        locked = self.plan.lock.tables if self.plan.lock is not None else ()
        return next((known_places(found) for found in locked if found.table == table), None)

    def rules(self, table: str) -> TablePolicy | None:
        """The policy's part on a table, or None."""
        return next((found for found in self.plan.policy.tables if pattern_of(found.table).fullmatch(table)), None)


def configured(project: Project, environment: str) -> Setting:
    """The masking of a configured environment, with the keys read by the source's role."""
    sides = Sides.of(project.plan(environment))
    return Setting(sides.plan.masking, sides.key(), sides.old_keys(), sides)


def unconfigured(environment: str, sink: str | None, policy: Path | None) -> Setting:
    """A masking without any configuration: the key from DOWNSTAGE_MASK_KEY. Raises ConfigError."""
    masking = {"key": f"env:{KEY_VARIABLE}"}
    if sink is not None:
        masking["sink"] = sink
    if policy is not None:
        masking["policy"] = str(policy)
    values = {
        "version": 1,
        "environments": {environment: {"account": "0" * 12, "region": "us-east-1"}},
        "masking": masking,
    }
    whereabouts = Whereabouts("command line", {}, {(): "command line"}, json_schema())
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise as_error(from_validation(error, whereabouts), whereabouts) from None
    problems = [*cross_check(config), *absent_files(config.masking, Path())]
    if problems:
        raise as_error(problems, whereabouts)
    files = read_masking_files(config, Path())
    plan = MaskingPlan(
        key=config.masking.key,
        sink=config.masking.sink.replace("{env}", environment),
        environment=environment,
        keep_domains=tuple(map(canonical, files.keep.domains)),
        keep_addresses=tuple(map(canonical, files.keep.addresses)),
        policy=files.policy,
        lock=files.lock if policy is not None else None,
    )
    return Setting(plan, MaskKey(KeyReader(None, os.environ).read(plan.key)), ())


def setting_for(config: Path, *, named: bool, environment: str, sink: str | None, policy: Path | None) -> Setting:
    """The masking of `environment` in the configuration if there is one, else one without. `named` says that the
    user named the file, which must then be there; `sink` and `policy` take the place of what it says."""
    if not named and not config.exists():
        return unconfigured(environment, sink, policy)
    overrides = {"masking.sink": sink, "masking.policy": None if policy is None else str(policy.absolute())}
    project = Project.open(config, {name: value for name, value in overrides.items() if value is not None})
    return configured(project, environment)
