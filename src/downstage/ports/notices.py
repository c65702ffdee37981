"""Who is told what becomes of a refresh."""

from __future__ import annotations

from typing import Protocol

from downstage.domain.notice import Notice


class Notifier(Protocol):
    """One place where people read messages. `check` raises what would keep a message from arriving there, as far as
    that can be known without sending one; `send` raises NotifyError, or what `check` raises, and gives up after a few
    tries.

    No message of either holds a secret, such as an address that is one.
    """

    def check(self) -> None: ...
    def send(self, notice: Notice) -> None: ...
