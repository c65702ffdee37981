"""The files that the `masking` stanza leads to: the policy, the lock and the keep lists, wherever these stand.

A named file that is not there is an error. A lock need not be named: `masking.lock` beside the policy, or beside the
configuration if there is no policy, is used if it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from downstage.config.checks import Problem, sink_domains
from downstage.config.lock import read_lock
from downstage.config.policy_load import load_policy
from downstage.config.schema import Config, Keep, Masking
from downstage.domain.policy import Policy, SchemaLock

LOCK_NAME = "masking.lock"


@dataclass(frozen=True, slots=True)
class MaskingFiles:
    """What the files say. `policy_path` is None without a policy, which is then empty; `lock_path` is where the lock
    is, or would be written; `lock` is None if there is none."""

    policy: Policy
    keep: Keep
    policy_path: Path | None
    lock: SchemaLock | None
    lock_path: Path


def absent_files(masking: Masking, base: Path) -> Iterator[Problem]:
    """The named files that are not there. `base` is the directory of the configuration."""
    if masking.policy is not None and not _at(base, masking.policy).exists():
        yield ("masking", "policy"), "names a file that is not there; 'downstage discover' writes a draft of one"
    if masking.lock is not None and not _at(base, masking.lock).exists():
        yield (
            ("masking", "lock"),
            "names a file that is not there; 'downstage discover' writes one, or remove the key: "
            f"{LOCK_NAME} beside the policy is found without it",
        )


def read_masking_files(config: Config, base: Path) -> MaskingFiles:
    """Read them. Raises `ConfigError` with the place in the file that is wrong."""
    masking = config.masking
    policy_path = None if masking.policy is None else _at(base, masking.policy)
    policy, keep = Policy(), masking.keep
    if policy_path is not None:
        kept = not masking.keep.is_empty
        policy, in_policy = load_policy(policy_path, sinks=sink_domains(config), kept_elsewhere=kept)
        keep = masking.keep if kept else in_policy
    lock_path = lock_of(masking, base)
    lock = read_lock(lock_path) if masking.lock is not None or lock_path.exists() else None
    return MaskingFiles(policy, keep, policy_path, lock, lock_path)


def lock_of(masking: Masking, base: Path) -> Path:
    """Where the lock is, or would be: for `discover`, which writes it even where the named file is not there yet."""
    if masking.lock is not None:
        return _at(base, masking.lock)
    return (base if masking.policy is None else _at(base, masking.policy).parent) / LOCK_NAME


def _at(base: Path, name: str) -> Path:
    return base / Path(name).expanduser()
