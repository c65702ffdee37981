"""What is round a refresh, in memory: a role with a policy, secrets, keys of buckets, a disk, a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from downstage.domain.refs import TargetBucket
from downstage.errors import AwsError
from downstage.planning.surroundings import Surroundings
from downstage.ports import DiskFacts, KeyUse

DENIED = AwsError("environment prod: could not look: AWS denies it (AccessDenied)", "AccessDenied")


class MemoryPermissions:
    """Implements `ports.Permissions`. `grants` are (action, resource) patterns as policies write them; `asked` keeps
    the resources. With an `error` every look raises it."""

    def __init__(self, *grants: tuple[str, str], error: AwsError | None = None) -> None:
        self.grants = list(grants)
        self.error = error
        self.asked: list[str] = []

    def allowed(self, actions: Sequence[str], resource: str) -> Sequence[str]:
        """Those of the actions that a grant covers; without regard to an action's case, as in IAM."""
        self.asked.append(resource)
        if self.error is not None:
            raise self.error
        return [
            action
            for action in actions
            if any(
                fnmatchcase(action.lower(), granted.lower()) and fnmatchcase(resource, where)
                for granted, where in self.grants
            )
        ]


class MemorySecrets:
    """Implements `ports.KeyProbe`. `readable_ones` are the references that the target's role can read."""

    def __init__(self, *readable_ones: str, error: AwsError | None = None) -> None:
        self.readable_ones = set(readable_ones)
        self.error = error

    def readable(self, reference: str) -> bool:
        """Whether it is one of those."""
        if self.error is not None:
            raise self.error
        return reference in self.readable_ones


class MemoryBucketKeys:
    """Implements `ports.BucketKeys`. `defaults` by bucket, `uses` by key; a key that is in neither is not there."""

    def __init__(
        self,
        defaults: Mapping[str, str] | None = None,
        uses: Mapping[str, KeyUse] | None = None,
        *,
        error: AwsError | None = None,
    ) -> None:
        self.defaults = dict(defaults or {})
        self.uses = dict(uses or {})
        self.error = error

    def default(self, bucket: TargetBucket) -> str | None:
        """The bucket's key."""
        if self.error is not None:
            raise self.error
        return self.defaults.get(bucket.name)

    def use(self, key: str) -> KeyUse:
        """What becomes of it."""
        if self.error is not None:
            raise self.error
        return self.uses.get(key, "unusable")


def harmless(
    *,
    source_role: MemoryPermissions | None = None,
    key_probe: MemorySecrets | None = None,
    bucket_keys: MemoryBucketKeys | None = None,
    disk: DiskFacts | None = None,
    ahead: float = 0.0,
) -> Surroundings:
    """Surroundings in which nothing stands in the way, but for what is given."""
    return Surroundings(
        source_role=source_role or MemoryPermissions(),
        key_probe=key_probe or MemorySecrets(),
        bucket_keys=bucket_keys or MemoryBucketKeys(),
        disk=lambda: disk or DiskFacts("state", 10**12, writable=True),
        seconds_ahead=lambda: ahead,
    )
