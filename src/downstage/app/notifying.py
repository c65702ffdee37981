"""Who is told what becomes of a refresh: from the configuration to the places, and what a message says.

Rules: a message that does not arrive fails no run; it becomes one line for whoever watches, and one in the journal.
Nobody waits for a message while a run holds its environment: it is sent by a thread of its own, and waited for at the
end, within bounds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from downstage.app.clock import SystemClock
from downstage.aws.secrets import KeyReader
from downstage.aws.session import Session
from downstage.ci.http import pool_for
from downstage.config.load import LoadedConfig
from downstage.config.notifications import REFERENCES, Notification
from downstage.domain.environment import Environment
from downstage.domain.events import Note
from downstage.domain.notice import Notice, Occasion
from downstage.domain.outcome import RefreshOutcome, StepState
from downstage.errors import ApprovalWanted, DownstageError, TimeBoxReached
from downstage.notify.services import Service
from downstage.notify.webhook import Webhook
from downstage.planning.build import environment_of
from downstage.ports import EventSink, Notifier, RunRecord
from downstage.report.model import as_document

PATIENCE = 75.0
"""Seconds that messages may take, all together, when a run has ended."""

_ADVICE = "put there what the notification needs, see docs/notifications.md"


@dataclass(frozen=True, slots=True)
class Place:
    """One place that is told: what it is called, of what it is told, and what sends there."""

    name: str
    occasions: frozenset[Occasion]
    notifier: Notifier


class Herald:
    """Tells the places of one environment. Nothing of it raises."""

    def __init__(self, places: Sequence[Place], events: EventSink | None = None) -> None:
        self._places = places
        self._events = events
        self._over: dict[str, threading.Event] = {}
        self._unsent: list[str] = []
        self._lock = threading.Lock()

    def tell(self, notice: Notice) -> None:
        """Begins to send the notice to every place that is told of such things; one place gets them in order."""
        for place in self._places:
            if notice.occasion in place.occasions or notice.occasion is Occasion.TEST:
                before, over = self._over.get(place.name), threading.Event()
                self._over[place.name] = over
                threading.Thread(
                    target=self._send, args=(place, notice, before, over), name="notification", daemon=True
                ).start()

    def wait(self, patience: float) -> bool:
        """Waits up to `patience` seconds; whether nothing is being sent any more."""
        clock = SystemClock()
        deadline = clock.monotonic() + patience
        return all(over.wait(max(0.0, deadline - clock.monotonic())) for over in self._over.values())

    def settle(self, patience: float = PATIENCE) -> Sequence[str]:
        """Waits until everything is sent, or `patience` seconds; says what was not, one line each, addressless."""
        self.wait(patience)
        for name, over in self._over.items():
            if not over.is_set():
                self._failed(f"notification not sent to {name}: it took too long")
        self._over.clear()
        with self._lock:
            unsent, self._unsent = self._unsent, []
        return unsent

    def _send(self, place: Place, notice: Notice, before: threading.Event | None, over: threading.Event) -> None:
        if before is not None:
            before.wait()
        try:
            place.notifier.send(notice)
        except DownstageError as error:
            self._failed(f"notification '{notice.occasion}' not sent to {place.name}: {error}")
        except Exception as error:  # noqa: BLE001  not ours: its text may hold the URL
            self._failed(f"notification '{notice.occasion}' not sent to {place.name}: {type(error).__name__}")
        finally:
            over.set()

    def _failed(self, line: str) -> None:
        with self._lock:
            self._unsent.append(line)
        if self._events is not None:
            self._events.emit(Note(line))


def herald_for(
    loaded: LoadedConfig,
    environment: str,
    events: EventSink | None = None,
    session: Callable[[Environment], Session] = Session,
    environ: Mapping[str, str] = os.environ,
) -> Herald:
    """Whoever is told of the environment's refreshes. Reads no secret yet."""
    return Herald(places_of(loaded, environment, session, environ), events)


def places_of(
    loaded: LoadedConfig,
    environment: str,
    session: Callable[[Environment], Session] = Session,
    environ: Mapping[str, str] = os.environ,
) -> list[Place]:
    """The places that are told of the environment, in the order of the configuration. Raises ConfigError if there is no
    such environment."""
    target = environment_of(loaded.config, environment, base=loaded.base)
    places = []
    for index, stanza in enumerate(loaded.config.notifications):
        if environment in stanza.environments or not stanza.environments:
            setting = f"notifications[{index}]"
            read = partial(_read, loaded.base, partial(session, target), environ)
            occasions = frozenset(Occasion(event) for event in stanza.events)
            places.append(Place(stanza.name or setting, occasions, _notifier(stanza, setting, read)))
    return places


def problems(loaded: LoadedConfig, environment: str, target: Session) -> list[DownstageError]:
    """What would keep messages from arriving, as far as it can be known without sending one."""
    found: list[DownstageError] = []
    for place in places_of(loaded, environment, lambda _target: target):
        try:
            place.notifier.check()
        except DownstageError as problem:
            found.append(problem)
    return found


def begun(run: RunRecord) -> Notice:
    """A refresh begins."""
    return Notice(Occasion.START, run.environment, _now(), run.run_id)


def ended(outcome: RefreshOutcome, error: Exception | None, exit_code: int, report: Path, step: str) -> Notice:
    """A refresh has ended, or stopped. `step` is the one that waits for an approval, if one does."""
    document = as_document(outcome)
    occasion = _occasion(error, exit_code)
    return Notice(
        occasion,
        outcome.environment,
        _now(),
        outcome.run_id,
        step=step or _step(outcome, occasion),
        result=outcome.result.value,
        exit_code=exit_code,
        seconds=document["seconds"],
        counts=document["totals"],
        report=str(report),
    )


def tell_refused(loaded: LoadedConfig, environment: str, error: Exception, run_id: str = "") -> Herald:
    """Begins to tell that a refresh which nobody watches could not begin, or not go on."""
    code = error.exit_code if isinstance(error, DownstageError) else 1
    try:
        herald = herald_for(loaded, environment)
    except DownstageError:  # there is no such environment, so nobody is told of it
        return Herald(())
    herald.tell(Notice(Occasion.FAILURE, environment, _now(), run_id, exit_code=code))
    return herald


def could_not_begin(loaded: LoadedConfig, environment: str, error: Exception, run_id: str = "") -> Sequence[str]:
    """Tells the same, and waits until that is sent; gives what was not."""
    return tell_refused(loaded, environment, error, run_id).settle()


def try_out(loaded: LoadedConfig, environment: str) -> list[tuple[Place, str]]:
    """Sends a test message to every place that is told of the environment; gives why each has not got it, or nothing.
    All at once, so they are waited for together."""
    tried = []
    for place in places_of(loaded, environment):
        herald = Herald([place])
        herald.tell(Notice(Occasion.TEST, environment, _now()))
        tried.append((place, herald))
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    return [(place, "; ".join(herald.settle(deadline - clock.monotonic()))) for place, herald in tried]


def _occasion(error: Exception | None, exit_code: int) -> Occasion:
    if isinstance(error, ApprovalWanted):
        return Occasion.APPROVAL
    if isinstance(error, TimeBoxReached):
        return Occasion.PARKED
    return Occasion.END if exit_code == 0 else Occasion.FAILURE


def _step(outcome: RefreshOutcome, occasion: Occasion) -> str:
    """The step in which the run has stopped, if it was in one."""
    if occasion not in (Occasion.FAILURE, Occasion.PARKED):
        return ""
    by_state = {state: [step.name for step in outcome.steps if step.state is state] for state in StepState}
    return next(iter((*by_state[StepState.FAILED], *by_state[StepState.RUNNING])), "")


def _notifier(stanza: Notification, setting: str, read: Callable[[str, str], bytes]) -> Notifier:
    if stanza.apprise is not None:
        return Service(setting, partial(_text, read, stanza.apprise, f"{setting}.apprise"), SystemClock())
    assert stanza.webhook is not None
    url, key = stanza.webhook.url, stanza.webhook.key
    return Webhook(
        setting=f"{setting}.webhook",
        url=partial(_text, read, url, f"{setting}.webhook.url") if url.startswith(REFERENCES) else lambda: url,
        key=None if key is None else partial(read, key, f"{setting}.webhook.key"),
        pool=pool_for,
        clock=SystemClock(),
    )


def _read(
    base: Path, session: Callable[[], Session], environ: Mapping[str, str], reference: str, setting: str
) -> bytes:
    """A secret, from where it is kept: a file beside the configuration, or in AWS with the environment's role."""
    kind, _, rest = reference.partition(":")
    if kind == "file":
        reference = f"file:{base / Path(rest).expanduser()}"
    signed_in = session() if kind in ("secretsmanager", "ssm") else None
    return KeyReader(signed_in, environ, setting=setting, advice=_ADVICE).read(reference)


def _text(read: Callable[[str, str], bytes], reference: str, setting: str) -> str:
    return read(reference, setting).decode("utf-8", "replace")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
