"""The strategy hook: a function of the user's own, `module:function(value, context)`, held at arm's length.

It is imported when the policy is compiled. A call that takes longer than `patience` is given up: the item is
refused, and as a thread cannot be stopped, it is left behind and another takes its place, three times at most. What
the function returns must be of the type that it was given. Of an exception only the class is told.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import importlib
import inspect
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from downstage.errors import MaskingError
from downstage.masking.draws import Draw, Draws
from downstage.masking.strategies.base import DROPPED, Attribute, Place, Strategy
from downstage.masking.strategies.drawn import Stream
from downstage.masking.strategies.leaves import refusal
from downstage.masking.strategies.numbers import exact
from downstage.masking.strategies.options import Options
from downstage.ports import Item

_PATIENCE = 5.0
_LONGEST_PATIENCE = 3600
_MOST_ABANDONED = 3
_SURROGATES = re.compile("[\ud800-\udfff]")

Function = Callable[[Any, "Context"], Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What a hook is told beside the value. `path` is the place without data, `kind` is S, N, B or BOOL, `item` a
    copy of the whole item as it was read, in typed JSON. The draws belong to the rule's pseudonym domain."""

    path: str
    kind: str
    item: Item = field(repr=False)
    _draw: Draw = field(repr=False)

    def token(self, text: str, letters: int = 32) -> str:
        """`letters` lower-case letters that belong to `text`."""
        return Stream(self._draw, text).letters(letters)

    def number(self, text: str) -> int:
        """An integer of 256 bits that belongs to `text`."""
        return self._draw.number(text)


class Caller:
    """Calls `function` in a thread of its own and waits no longer than `patience` seconds. `name` is for messages."""

    def __init__(self, name: str, function: Function, patience: float) -> None:
        self._name = name
        self._function = function
        self._patience = patience
        self._abandoned = 0
        self._tasks: queue.SimpleQueue[_Task | None] | None = None
        self._one_at_a_time = threading.Lock()

    def call(self, value: Any, context: Context) -> Any:
        """What the function returns. Raises MaskingError if it raises, or takes too long, or did so too often."""
        with self._one_at_a_time:
            if self._abandoned >= _MOST_ABANDONED:
                raise MaskingError(
                    f"the hook '{self._name}' took too long {_MOST_ABANDONED} times: it is called no more"
                )
            task = _Task(value, context)
            if self._tasks is None:
                self._tasks = queue.SimpleQueue()
                threading.Thread(target=self._work, args=(self._tasks,), daemon=True, name="masking-hook").start()
            self._tasks.put(task)
            try:
                result, failed = task.answer.get(timeout=self._patience)
            except queue.Empty:
                self._abandoned += 1
                self._tasks.put(None)
                self._tasks = None
                raise MaskingError(f"the hook '{self._name}' took longer than {self._patience:g} s") from None
        if failed:
            raise MaskingError(f"the hook '{self._name}' raised {failed}")
        return result

    def _work(self, tasks: queue.SimpleQueue[_Task | None]) -> None:
        while (task := tasks.get()) is not None:
            try:
                task.answer.put((self._function(task.value, task.context), ""))
            except BaseException as error:  # noqa: BLE001  whatever it is, the caller must not wait for nothing
                task.answer.put((None, type(error).__name__))


@dataclass(frozen=True, slots=True)
class _Task:
    value: Any = field(repr=False)
    context: Context
    answer: queue.SimpleQueue[tuple[Any, str]] = field(default_factory=queue.SimpleQueue)


class Hook:
    """The strategy round the call: typed JSON to Python and back. It may stand on keys only if the function says,
    by a true attribute `injective`, that it keeps distinct values distinct."""

    idempotent = False
    whole = False

    def __init__(self, name: str, function: Function, patience: float, draw: Draw) -> None:
        self.injective = getattr(function, "injective", False) is True
        self._name = name
        self._caller = Caller(name, function, patience)
        self._draw = draw

    def replace(self, value: Attribute, place: Place) -> Attribute:
        """See Strategy."""
        ((kind, content),) = value.items()
        if kind == "NULL" or content == "":
            return value
        if kind not in ("S", "N", "B", "BOOL"):
            raise refusal("hook", kind)
        given = base64.b64decode(content) if kind == "B" else content
        result = self._caller.call(given, Context(place.path, kind, copy.deepcopy(place.item), self._draw))
        return DROPPED if result is None else {kind: self._checked(kind, result)}

    def _checked(self, kind: str, result: Any) -> Any:
        """`result` as content of typed JSON."""
        wanted = bytes if kind == "B" else bool if kind == "BOOL" else str
        if not isinstance(result, wanted):
            raise MaskingError(
                f"the hook '{self._name}' returned {type(result).__name__} instead of {wanted.__name__} or None"
            )
        if isinstance(result, bytes):
            return base64.b64encode(result).decode()
        if isinstance(result, str):
            if kind == "N":
                exact(result, f"hook {self._name}")
            elif _SURROGATES.search(result):
                raise MaskingError(f"the hook '{self._name}' returned a text that cannot be written as UTF-8")
        return result


def make_hook(options: Options, draws: Draws) -> Strategy:
    """`hook`: `call` is `module:function`, `patience` how many seconds a call may take."""
    call = options.text("call")
    patience = options.positive("patience", _LONGEST_PATIENCE, _PATIENCE)
    return Hook(call, _imported(options, call), patience, draws(options.domain()))


def _imported(options: Options, call: str) -> Function:
    module_name, _, function_name = call.partition(":")
    if not function_name or not all(part.isidentifier() for part in [*module_name.split("."), function_name]):
        raise options.wrong("needs 'call' as 'module:function'")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  a module may raise anything while it is imported
        raise options.wrong(
            f"cannot import '{module_name}' ({type(error).__name__}): it must be installed, or stand on PYTHONPATH"
        ) from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise options.wrong(f"finds no function '{function_name}' in the module '{module_name}'")
    checked: Function = function
    return checked


def version_of(call: str) -> str:
    """The hook's own `version`, else a hash of its module's source; empty if neither can be had (then it cannot be
    imported either, which is said where the policy is compiled)."""
    module_name, _, function_name = call.partition(":")
    try:
        module = importlib.import_module(module_name)
        version = getattr(getattr(module, function_name), "version", None)
        source = "" if version is not None else inspect.getsource(module)
    except Exception:  # noqa: BLE001  a module may raise anything while it is imported
        return ""
    return str(version) if version is not None else hashlib.sha256(source.encode()).hexdigest()[:16]
