"""The looks round a refresh, made of both sides' sessions and of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from downstage.app.disk import look_at_disk
from downstage.aws.bucket_keys import TargetKeys
from downstage.aws.clock import seconds_ahead
from downstage.aws.key_probe import SecretProbe
from downstage.aws.permissions import SimulatedPermissions
from downstage.aws.session import Session
from downstage.planning.surroundings import Surroundings


def look_around(source: Session, target: Session, state: Path) -> Surroundings:
    """Nothing is asked yet. `state` is the state directory."""
    return Surroundings(
        source_role=SimulatedPermissions(source),
        key_probe=SecretProbe(source, target),
        bucket_keys=TargetKeys(target),
        disk=partial(look_at_disk, state),
        seconds_ahead=partial(seconds_ahead, target),
    )
