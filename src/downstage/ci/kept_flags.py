"""The flags as they were when a deployment was decided: what it was started with is what it is recognised by.

A deployment may change the very flag that it was given, as blue and green do. Whoever comes later and reads the flag
then would not know our own start again, and would start another. So the values are kept in the intent, sealed, for a
flag may hold anything; 'resume --from deploy' decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from downstage.planning.sealed_flags import opened, sealed
from downstage.ports import Sealer


@dataclass(frozen=True, slots=True)
class KeptFlags:
    """The flags of one run. `read` gives their values by name, read back from AWS; `sealer` is made when it is needed,
    for it needs the masking key."""

    read: Callable[[], Mapping[str, str]]
    sealer: Callable[[], Sealer]
    run_id: str

    def kept(self) -> str:
        """The values as they are now, sealed, for an intent."""
        return sealed(self.read(), self.sealer(), self._context)

    def of(self, intent: Mapping[str, Any]) -> Mapping[str, str]:
        """The values that an intent keeps; as they are now for one of a version that kept none."""
        if "flags" not in intent:
            return self.read()
        return opened(intent["flags"], self.sealer(), self._context)

    @property
    def _context(self) -> str:
        return f"{self.run_id}/deploy"
