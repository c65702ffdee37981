"""The hook: what it is told, what it may return, and what becomes of one that is missing, fails or does not return."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from downstage.domain.policy import StrategySpec
from downstage.errors import ConfigError, MaskingError
from downstage.masking.draws import Draw
from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.strategies import make
from downstage.masking.strategies.base import DROPPED, Attribute, Place, Strategy
from downstage.masking.strategies.hook import Context

KEY = MaskKey(bytes(range(64)))
EMAIL = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com")
ITEM = {"pk": {"S": "Ann Lee"}}
NOT_A_FUNCTION = 5

told: list[Any] = []
answer: list[Any] = []
released = threading.Event()
entered = threading.Semaphore(0)


def shout(value: Any, context: Context) -> Any:
    return value.upper() if isinstance(value, str) else value


def listen(value: Any, context: Context) -> Any:
    told.append((value, context))
    return value


def give(value: Any, context: Context) -> Any:
    return answer[0]


def fail(value: Any, context: Context) -> Any:
    raise ValueError(value)


def leave(value: Any, context: Context) -> Any:
    raise SystemExit(value)


def hang(value: Any, context: Context) -> Any:
    entered.release()
    if value != "quick":
        released.wait()
    return value


def apart(value: Any, context: Context) -> Any:
    return context.token(value)


apart.injective = True  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    told.clear()
    answer.clear()
    released.clear()
    yield
    released.set()


def hook(function: str, **options: Any) -> Strategy:
    spec = StrategySpec("hook", {"call": f"{__name__}:{function}", **options}, "masking.yaml:3:7")
    return make(spec, lambda domain: Draw(KEY, "test", domain), EMAIL)


def called(strategy: Strategy, value: Attribute) -> Attribute:
    return strategy.replace(value, Place("people.*.name", ITEM))


@pytest.mark.parametrize(
    ("value", "python"),
    [
        ({"S": "Ann"}, "Ann"),
        ({"N": "1.50"}, "1.50"),
        ({"B": base64.b64encode(b"Ann").decode()}, b"Ann"),
        ({"BOOL": True}, True),
    ],
)
def test_it_is_told_the_value_and_where_it_stands(value: Attribute, python: Any) -> None:
    assert called(hook("listen"), value) == value
    ((given, context),) = told
    assert given == python
    assert type(given) is type(python)
    assert (context.path, context.kind, context.item) == ("people.*.name", next(iter(value)), ITEM)
    assert "Ann" not in repr(context)


def test_its_draws_are_those_of_its_domain() -> None:
    called(hook("listen"), {"S": "x"})
    called(hook("listen", domain="mine"), {"S": "x"})
    first, second = (context for _, context in told)
    assert first.token("a") == first.token("a") != first.token("b")
    assert first.token("a") != second.token("a")
    assert len(first.token("a")) == 32
    assert len(first.token("a", letters=60)) == 60
    assert first.number("a") == Draw(KEY, "test", "hook/v1").number("a")


@pytest.mark.parametrize(
    ("value", "result", "expected"),
    [
        ({"S": "x"}, "y", {"S": "y"}),
        ({"S": "x"}, "", {"S": ""}),
        ({"N": "1"}, "-2.5E+3", {"N": "-2.5E+3"}),
        ({"B": "AAA="}, b"\x01", {"B": "AQ=="}),
        ({"BOOL": True}, False, {"BOOL": False}),
        ({"S": "x"}, None, DROPPED),
    ],
)
def test_what_it_may_return(value: Attribute, result: Any, expected: Attribute) -> None:
    answer.append(result)
    assert called(hook("give"), value) == expected


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"S": "x"}, b"secret"),
        ({"S": "x"}, 5),
        ({"S": "x"}, "secret \ud800"),
        ({"N": "1"}, 5),
        ({"N": "1"}, "secret"),
        ({"N": "1"}, "1" * 39),
        ({"N": "1"}, "1e126"),
        ({"B": "AAA="}, "secret"),
        ({"BOOL": True}, "secret"),
        ({"BOOL": True}, 1),
    ],
)
def test_another_type_is_refused(value: Attribute, result: Any) -> None:
    answer.append(result)
    with pytest.raises(MaskingError) as error:
        called(hook("give"), value)
    assert "secret" not in str(error.value)
    assert "give" in str(error.value)


@pytest.mark.parametrize(("function", "name"), [("fail", "ValueError"), ("leave", "SystemExit")])
def test_an_exception_is_told_by_its_class_alone(function: str, name: str) -> None:
    with pytest.raises(MaskingError, match=f"{function}' raised {name}$") as error:
        called(hook(function), {"S": "Ann Lee"})
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_after_an_exception_it_is_called_again() -> None:
    strategy = hook("fail")
    for _ in range(10):
        with pytest.raises(MaskingError, match="ValueError"):
            called(strategy, {"S": "x"})


def test_one_that_does_not_return_is_given_up_and_after_three_called_no_more() -> None:
    strategy = hook("hang", patience=0.01)
    for _ in range(3):
        with pytest.raises(MaskingError, match=r"took longer than 0\.01 s"):
            called(strategy, {"S": "Ann Lee"})
        assert entered.acquire(timeout=60)
    with pytest.raises(MaskingError, match="called no more"):
        called(strategy, {"S": "Ann Lee"})
    assert not entered.acquire(blocking=False)


def test_after_one_is_given_up_another_thread_goes_on_and_the_old_one_ends() -> None:
    strategy = hook("hang", patience=0.01)
    before = set(threading.enumerate())
    with pytest.raises(MaskingError):
        called(strategy, {"S": "slow"})
    assert entered.acquire(timeout=60)
    (abandoned,) = set(threading.enumerate()) - before
    assert abandoned.daemon
    strategy._caller._patience = 60.0  # type: ignore[attr-defined]
    assert called(strategy, {"S": "quick"}) == {"S": "quick"}
    assert entered.acquire(timeout=60)
    assert abandoned.is_alive()
    released.set()
    abandoned.join(60)
    assert not abandoned.is_alive()


def test_it_may_stand_on_keys_only_if_it_says_so() -> None:
    assert hook("apart").injective
    assert not hook("shout").injective


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("no_such_module:f", "cannot import 'no_such_module' (ModuleNotFoundError)"),
        (f"{__name__}:missing", "finds no function 'missing'"),
        (f"{__name__}:NOT_A_FUNCTION", "finds no function 'NOT_A_FUNCTION'"),
        ("json", "'module:function'"),
        ("json:a b", "'module:function'"),
        ("../json:dumps", "'module:function'"),
        (":dumps", "'module:function'"),
    ],
)
def test_one_that_cannot_be_imported_is_a_fault_of_the_policy(call: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make(StrategySpec("hook", {"call": call}, "masking.yaml:3:7"), lambda domain: Draw(KEY, "test", domain), EMAIL)
    assert message in str(error.value)
    assert str(error.value).startswith("masking.yaml:3:7: ")


def test_a_module_that_fails_to_import_is_named_with_its_error_alone(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_hook.py").write_text("raise RuntimeError('Ann Lee')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot import 'broken_hook' \(RuntimeError\)") as error:
        make(StrategySpec("hook", {"call": "broken_hook:f"}), lambda domain: Draw(KEY, "test", domain), EMAIL)
    assert "Ann" not in str(error.value)
