"""Parcels: work for another machine, and what became of it, sealed so that only who has the masking key can make one.

A parcel is a pickle, and whoever may write a pickle for us may run code as us: so none is read before its seal has
been proven. The seal covers where the parcel lies and which half it is, and hides the names of tables and buckets. It
is of one version of Downstage: another one might understand something else by it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from downstage import __version__
from downstage.errors import ConfigError, DownstageError, JournalError
from downstage.ports import Lane, Sealer


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: `work` for each lane, `at_once` of them at one time."""

    work: Callable[[Lane], None]
    lanes: tuple[Lane, ...]
    at_once: int


@dataclass(frozen=True, slots=True)
class Result:
    """What has become of it so far: the lanes that ended well, in that order, and the error that ended the rest."""

    ended: tuple[Lane, ...] = ()
    error: DownstageError | None = None


Content = TypeVar("Content", Work, Result)


def result_key(parcel: str) -> str:
    """Where the result of a parcel lies."""
    return f"{parcel}.result"


def claim_key(parcel: str) -> str:
    """Where the run that carries the parcel out says so."""
    return f"{parcel}.claim"


def pack(sealer: Sealer, key: str, content: Work | Result) -> bytes:
    """The bytes that are kept under `key`."""
    return sealer.seal(pickle.dumps((__version__, content)), f"parcel {key}").encode()


def unpack_work(sealer: Sealer, key: str, packed: bytes) -> Work:
    """Raises ConfigError if it is another key's, place's or version's."""
    return _unpack(sealer, key, packed, Work)


def unpack_result(sealer: Sealer, key: str, packed: bytes) -> Result:
    """Raises ConfigError if it is another key's, place's or version's."""
    return _unpack(sealer, key, packed, Result)


def _unpack(sealer: Sealer, key: str, packed: bytes, kind: type[Content]) -> Content:
    try:
        plain = sealer.open(packed.decode("ascii", "replace"), f"parcel {key}")
    except JournalError:
        raise ConfigError(
            "a parcel of the Glue job cannot be opened: it was sealed with another masking key, or was altered; see "
            "that both sides read the same masking.key"
        ) from None
    version, content = _versioned(plain)
    if version != __version__:
        raise ConfigError(
            f"a parcel of the Glue job is of downstage {version}, this is {__version__}: deploy the job again with "
            "'downstage glue deploy ENV'"
        )
    if not isinstance(content, kind):
        raise ConfigError("a parcel of the Glue job holds something else than it should: deploy the job again")
    return content


def _versioned(plain: bytes) -> tuple[str, Any]:
    """The version, and the content if it is ours: another version's classes may not be read at all."""
    try:
        version, content = pickle.loads(plain)  # noqa: S301  its seal is proven
    except Exception:  # noqa: BLE001  whatever another version wrote; its text might quote what it holds
        return "another version", None
    return str(version), content
