"""What lanes on other machines do not have: variables and files of this machine, who is signed in here, its journal,
functions of the user's.

Each is refused in one line before anything is entered or wiped; `downstage check` finds the same.
"""

from __future__ import annotations

from downstage.domain.plan import SPREAD, RefreshPlan
from downstage.errors import ConfigError, UsageError
from downstage.masking.compile import specs_of

_HERE = ("env", "file")


def refuse_keys_of_here(plan: RefreshPlan, who: str) -> None:
    """Raises ConfigError for a masking key, of now or of earlier, that only this machine has; `who` is one worker."""
    named = [("masking.key", plan.masking.key), *(("masking.old_keys", old) for old in plan.masking.old_keys)]
    for name, reference in named:
        kind = reference.partition(":")[0]
        if kind in _HERE:
            raise ConfigError(
                f"{name} is {kind}:…, which {who} does not have: keep the key in secretsmanager: or ssm:, where it is "
                "read with the source's role"
            )


def refuse_launcher_of_here(plan: RefreshPlan, who: str) -> None:
    """Raises ConfigError if exports would be read there as whoever happens to be signed in: the launcher has no role
    that `who`, one worker, could become, nor a profile that it could have as well."""
    exporter = plan.exporter
    if exporter is None or exporter.profile is not None or not any(pair.export is not None for pair in plan.tables):
        return
    raise ConfigError(
        f"exports are read as the launcher, which {who} is not: set 'launcher: {{exports: false}}', name a profile for "
        f"{plan.source.name} that every machine has, or copy with --engine local"
    )


def refuse_journal_of_here(plan: RefreshPlan, kind: str) -> None:
    """Raises UsageError if lanes could not reach the run's journal; `kind` is where that is kept."""
    if plan.engine.name in SPREAD and kind == "sqlite":
        raise UsageError(
            f"lanes of the engine {plan.engine.name} may be on other machines, which cannot write the SQLite journal "
            "of this one: a run stays in the journal it began in, so start a new one with 'journal: dynamodb'"
        )


def refuse_functions_of_here(plan: RefreshPlan, who: str) -> None:
    """Raises ConfigError if lanes would call a function of the user's own; `who` is one worker, which has none."""
    for spec in specs_of(plan.masking.policy):
        if spec.name == "hook":
            raise _not_there(spec.place or "the masking policy", str(spec.options.get("call", "")), who)
    backfill = None if plan.search is None else plan.search.backfill
    if backfill is not None and backfill.call is not None:
        raise _not_there("search.backfill", backfill.call, who)


def _not_there(place: str, function: str, who: str) -> ConfigError:
    return ConfigError(
        f"{place} calls your own function {function}, which {who} does not have: use --engine local, or spark with "
        "your module installed on every machine"
    )
