"""The flags in this process's environment while a user's function makes documents, and not a moment longer.

A process has one environment, and a runner carries several environments' runs in one: so one lane at a time has it, and
what stood there before is put back. Only flags are touched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from downstage.domain.flags import PREFIX, as_environment

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def flags_shown(flags: Mapping[str, str]) -> Iterator[None]:
    """While it lasts, the process's environment holds these flags and no others. Does nothing if there are none."""
    if not flags:
        yield
        return
    with _ONE_AT_A_TIME:
        before = _taken_out()
        os.environ.update(as_environment(flags))
        try:
            yield
        finally:
            _taken_out()
            os.environ.update(before)


def _taken_out() -> dict[str, str]:
    """Every flag that stands in the environment, which has none afterwards."""
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
