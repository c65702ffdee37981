"""What is looked at round a refresh before it begins: what roles may do, keys, this machine. Nothing is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from downstage.domain.refs import TargetBucket

KeyUse = Literal["usable", "denied", "unusable"]


class Permissions(Protocol):
    """What one side's role may do, as AWS simulates it.

    `allowed` gives those of the `actions` (`dynamodb:PutItem`) that the role's own policies allow on the resource, in
    their order. Raises AwsError if AWS does not say: it may deny the simulation, or the caller may be none that it can
    simulate.
    """

    def allowed(self, actions: Sequence[str], resource: str) -> Sequence[str]: ...


class KeyProbe(Protocol):
    """Whether the *target's* role can read a secret of AWS (`secretsmanager:ID`, `ssm:NAME`).

    The value is dropped as it comes. Being denied, and finding nothing, both mean no. Raises AwsError if AWS gives
    another answer, which tells nothing.
    """

    def readable(self, reference: str) -> bool: ...


class BucketKeys(Protocol):
    """The KMS keys that encrypt what is put into the target's buckets.

    `default` is the key that the bucket's own setting names, None where it is S3's or AWS's own. `use` says whether the
    target's role can encrypt with a key: `denied` as it stands, or `unusable` by anybody (absent, disabled, about to be
    deleted). Both raise AwsError if AWS does not say.
    """

    def default(self, bucket: TargetBucket) -> str | None: ...
    def use(self, key: str) -> KeyUse: ...


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of a directory, which need not be there yet: free bytes, and whether it can be written or made."""

    directory: str
    free: int
    writable: bool
