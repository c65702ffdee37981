"""Runs that nobody waits for, carried through by DBOS: queued, one at a time for each environment, and taken up again
when the process that carried them has died. The only module that imports dbos, and only when it is used: that costs a
second.

DBOS's state is disposable. What is done is in our journal, and `carry` goes by that alone: it may be called twice for
one run, or for one that has ended. So a lost state database loses nothing, and a run is one DBOS step.

Rules, each from a failure that was seen (facts on dbos 3.4): one process a SQLite file, with a fixed executor id; the
application version is pinned, or an upgrade would strand what is under way: what another version has left under this
executor's name is cancelled, for it is never carried and would hold its environment's turn, and our journal hands it
over again, while the queue of another machine, which may be alive in its version, is left to it; JSON, not pickle, in
the database; nothing of DBOS's paid parts; the process is left with os._exit, for threads of DBOS outlive `destroy`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from downstage.errors import ConfigError, UsageError

FLOW: Final = "flow-1"
"""The version of what the workflow does: DBOS carries nothing of another one. Changed with what the workflow does."""

QUEUE: Final = "refreshes"
_RECOVERIES: Final = 100_000
_UNFINISHED: Final = ["PENDING", "ENQUEUED", "DELAYED"]


class DbosQueue:
    """Implements `ports.RunQueue`. `database` is an SQLAlchemy URL, of SQLite or Postgres; `executor` names this
    machine and state directory, always the same. `carry` carries one run through, and says in a word how that ended.

    Used as a context: runs are carried while it is open. One a process. Raises ConfigError if the database cannot be
    used.
    """

    def __init__(self, database: str, executor: str, carry: Callable[[str], str]) -> None:
        self._database = database
        self._executor = executor
        self._carry = carry
        self._dbos: Any = None
        self._workflow: Any = None
        self.left_behind: tuple[str, ...] = ()
        """Runs that another version of Downstage had under way here when the queue was opened: they are so no more."""

    def __enter__(self) -> DbosQueue:
        try:
            from dbos import DBOS, DBOSPortableJSONSerializer
        except ImportError:
            raise UsageError("the runner needs an extra: pip install 'downstage[runner]'") from None

        self._dbos = DBOS
        DBOS(
            config={
                "name": "downstage",
                "system_database_url": self._database,
                "application_version": FLOW,
                "executor_id": self._executor,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )
        carry = self._carry

        @DBOS.step(name="carry")
        def step(run_id: str) -> str:
            return carry(run_id)

        @DBOS.workflow(name="refresh", max_recovery_attempts=_RECOVERIES)
        def workflow(run_id: str) -> str:
            said: str = step(run_id)
            return said

        self._workflow = workflow
        try:
            DBOS.launch()
            DBOS.register_queue(QUEUE, partition_concurrency=1, on_conflict="always_update")
            self._leave_other_versions()
        except Exception as error:  # noqa: BLE001  whoever's it is, its text may hold the URL
            raise ConfigError(
                f"the runner's database cannot be used ({type(error).__name__}): check durable.database, or leave it "
                "out for a file in the state directory"
            ) from None
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._dbos.destroy(destroy_registry=True)

    def hand_over(self, run_id: str, environment: str) -> None:
        """Has the run carried through, after those of its environment that were handed over before."""
        from dbos import SetEnqueueOptions, SetWorkflowID

        with SetWorkflowID(f"{run_id}.{uuid.uuid4().hex[:8]}"), SetEnqueueOptions(queue_partition_key=environment):
            self._dbos.enqueue_workflow(QUEUE, self._workflow, run_id)

    def under_way(self) -> set[str]:
        """The runs that are waiting or being carried here; not those that other machines on the same database carry,
        and not those of another version, which nobody carries here."""
        found = [one for one in self._unfinished() if one.app_version in (None, FLOW)]
        return {_run_of(one) for one in found if self._is_ours(one) or one.status == "ENQUEUED"}

    def _unfinished(self) -> list[Any]:
        found: list[Any] = self._dbos.list_workflows(
            status=_UNFINISHED, name="refresh", load_output=False, load_input=False
        )
        return found

    def _is_ours(self, workflow: Any) -> bool:
        """Whether this executor was the last to have it; nobody else's is ours as well."""
        return workflow.executor_id in (None, "", self._executor)

    def _leave_other_versions(self) -> None:
        """Cancels what another version has left under this executor's name. What waits or is carried under another's is
        that one's, which may be alive: it goes on with it, or cancels it itself when it is of this version."""
        left = [one for one in self._unfinished() if self._is_ours(one) and one.app_version not in (None, FLOW)]
        if left:
            self._dbos.cancel_workflows([one.workflow_id for one in left])
        self.left_behind = tuple(sorted({_run_of(one) for one in left}))


def _run_of(workflow: Any) -> str:
    """The run that a workflow carries."""
    run_id: str = workflow.workflow_id.rpartition(".")[0]
    return run_id
