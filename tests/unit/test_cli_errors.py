"""How the command ends when something is wrong: exit codes, one line, JSON, and no traceback that could quote data."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from downstage.app.choosing import choose_steps
from downstage.cli import main as command
from downstage.errors import ConfigError, DownstageError, GuardRefused, LeakFound, TimeBoxReached

Failing = Callable[[BaseException], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Makes the command raise an error."""
    monkeypatch.delenv("DOWNSTAGE_DEBUG", raising=False)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def arrange(error: BaseException) -> None:
        def app(*, standalone_mode: bool) -> None:
            raise error

        monkeypatch.setattr(command, "app", app)

    return arrange


def ends(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["downstage", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DownstageError("a"), 1),
        (ConfigError("a"), 2),
        (GuardRefused("a"), 3),
        (LeakFound("a"), 5),
        (TimeBoxReached("a"), 75),
    ],
)
def test_an_error_of_ours_is_its_message_and_exit_code(
    error: DownstageError,
    code: int,
    failing: Failing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(error)
    assert ends(monkeypatch) == code
    assert capsys.readouterr() == ("", "downstage: a\n")


def test_several_problems_are_a_line_each(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ConfigError("a\nb"))
    assert ends(monkeypatch) == 2
    assert capsys.readouterr().err == "downstage: a\ndownstage: b\n"


@pytest.mark.parametrize("error", [GuardRefused("a\nb"), typer.BadParameter("a\nb")])
def test_json_errors_are_one_object_on_standard_output(
    error: BaseException, failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(error)
    code = ends(monkeypatch, "refresh", "--json")
    said = capsys.readouterr()
    assert said.err == ""
    message = json.loads(said.out)
    assert message == {"event": "error", "message": message["message"], "exit_code": code}
    assert "a\nb" in message["message"]


def test_a_bug_is_one_line_without_the_error_s_text(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(TypeError("bob@example.org"))
    assert ends(monkeypatch) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("downstage: internal error (TypeError in ")
    assert "this is a bug" in said.err
    assert "DOWNSTAGE_DEBUG=1" in said.err
    assert "bob" not in said.err


def test_what_the_system_refuses_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    (tmp_path / "file").write_text("")
    assert ends(monkeypatch, "sandbox", "up", "-d", str(tmp_path / "file")) == 1
    assert capsys.readouterr().err == f"downstage: {tmp_path / 'file'}: the system says: File exists\n"


def test_a_bug_names_our_own_line() -> None:
    with pytest.raises(TypeError) as raised:
        choose_steps(None, [])  # type: ignore[arg-type]
    assert command._bug(raised.value).startswith("internal error (TypeError in choosing:")


def test_a_bug_in_json_is_an_object(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(KeyError("bob@example.org"))
    assert ends(monkeypatch, "--json") == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_code"] == 1
    assert "KeyError" in said.out
    assert "bob" not in said.out + said.err


def test_the_traceback_is_shown_to_who_asks_for_it(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(TypeError("what"))
    monkeypatch.setenv("DOWNSTAGE_DEBUG", "1")
    assert ends(monkeypatch) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_in_a_thread_is_one_line_too(
    failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError("bob@example.org")

    def app(*, standalone_mode: bool) -> None:
        thread = threading.Thread(target=broken)
        thread.start()
        thread.join()

    monkeypatch.setattr(command, "app", app)
    assert ends(monkeypatch) == 0
    said = capsys.readouterr().err
    assert said.startswith("downstage: internal error (ValueError in ")
    assert len(said.splitlines()) == 1
    assert "bob" not in said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_ctrl_c_says_that_nothing_is_lost(
    error: BaseException, failing: Failing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(code: int) -> None:
        raise SystemExit(code)

    failing(error)
    monkeypatch.setattr(command, "_leave", leave)
    assert ends(monkeypatch) == 130
    assert "downstage resume RUN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["refresh"], "Missing argument"),
        (["nosuch"], "No such command"),
        (["report", "--pdf"], "No such option"),
        (["refresh", "test", "--workers", "0"], "--workers"),
        (["refresh", "test", "--only", "nosuch"], "there is no step 'nosuch'"),
        (["refresh", "test", "--skip", "coppy"], "did you mean 'copy'?"),
        (["refresh", "test", "--only", "copy", "--skip", "sync"], "not with both"),
        (["report", "--json", "--html"], "name one of"),
    ],
)
def test_a_wrong_command_line_is_2_and_touches_nothing(
    arguments: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    assert ends(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert expected in said.out + said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []
