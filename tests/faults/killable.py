"""The real command line with a trap in it: `python killable.py copy test …` dies by SIGKILL at a chosen moment.

`MOMENT` in the environment holds the moment as JSON. The product knows nothing of it: this script wraps methods of the
product before it runs them. Worker processes import the parent's main module when they are spawned, and so the trap is
set in them as well. It strikes once, whoever comes first: the mark is a file that can be made only once.

Without `MOMENT` it is the command line as it is.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from tests.faults.moments import HOOKS, Moment


class _Trap:
    def __init__(self, moment: Moment, mark: Path) -> None:
        self._moment = moment
        self._mark = mark
        self._calls = 0

    def set(self) -> None:
        """Wraps the method that the moment names."""
        owner, name = HOOKS[self._moment.hook]
        method = getattr(owner, name)
        operation = self._moment.hook.partition(":")[2]

        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def trapped(self_: Any, *args: Any, **named: Any) -> Any:
                due = (not operation or args[0] == operation) and self._due()
                if due and not self._moment.after:
                    self._strike()
                answer = await method(self_, *args, **named)
                if due and self._moment.after:
                    self._strike()
                return answer
        else:

            @functools.wraps(method)
            def trapped(self_: Any, *args: Any, **named: Any) -> Any:
                due = self._due()
                if due and not self._moment.after:
                    self._strike()
                answer = method(self_, *args, **named)
                if due and self._moment.after:
                    self._strike()
                return answer

        setattr(owner, name, trapped)

    def _due(self) -> bool:
        self._calls += 1
        return self._calls == self._moment.at

    def _strike(self) -> None:
        try:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        parent = multiprocessing.parent_process()
        if self._moment.victim == "worker" or parent is None:
            os.kill(os.getpid(), signal.SIGKILL)
        elif parent.pid is not None:
            os.kill(parent.pid, signal.SIGKILL)


if "MOMENT" in os.environ:
    _Trap(Moment.parse(os.environ["MOMENT"]), Path(os.environ["MOMENT_MARK"])).set()

if __name__ == "__main__":
    from downstage.cli.main import main

    main()
