"""The Glue job put together: who starts it, what travels there, and the engine that lanes are handed to.

The job runs in the account of its role, and whoever started Downstage starts it, with the credentials that the source's
role is assumed with. What travels are names of roles, never a profile: a Glue worker has none, and signs in as the
job's own role before it becomes one of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from downstage.app.elsewhere import refuse_functions_of_here, refuse_keys_of_here
from downstage.app.glue_deploy import refuse_unless_ready
from downstage.app.places import ControlPlace, JournalPlace
from downstage.app.worker import LaneWorker
from downstage.aws.glue import GlueJob
from downstage.aws.parcels import BucketParcels
from downstage.aws.session import Session
from downstage.console.redaction import redact
from downstage.domain.environment import Environment
from downstage.domain.glue import GluePlan, GlueRun
from downstage.domain.outcome import StepState
from downstage.domain.plan import RefreshPlan
from downstage.engines.glue import RUN, GlueEngine, GlueOrder, in_the_way
from downstage.engines.glue_starts import Starts
from downstage.errors import ConfigError, DownstageError, GuardRefused
from downstage.ports import Clock, Engine, Recorded, RunRecord, Sealer

_LONGEST_MESSAGE = 200
_WORKER = "a Glue worker"
_WAITING = 3600.0
"""Seconds for which AWS may have no capacity."""


def glue_of(plan: RefreshPlan) -> GluePlan:
    """The configured job. Raises ConfigError if there is none."""
    if plan.engine.glue is None:
        raise ConfigError("the engine glue needs 'engine.glue' in the configuration: job, role and bucket")
    return plan.engine.glue


def check(plan: RefreshPlan) -> GluePlan:
    """The configured job, if lanes of this plan can run there. Raises ConfigError with what stands against it."""
    glue = glue_of(plan)
    for environment in (plan.source, plan.target):
        if environment.role is None:
            raise ConfigError(
                f"environment {environment.name} has no role: a Glue worker has no profiles and signs in by roles "
                f"alone; set environments.{environment.name}.role"
            )
    refuse_keys_of_here(plan, _WORKER)
    refuse_functions_of_here(plan, _WORKER)
    if plan.exporter is not None and any(pair.export is not None for pair in plan.tables):
        raise ConfigError(
            "exports are read as the launcher, which a Glue worker is not: set 'launcher: {exports: false}', or copy "
            "with --engine local"
        )
    if plan.engine.workers > glue.slots:
        raise ConfigError(
            f"engine.workers is {plan.engine.workers}, but {glue.workers} Glue workers ({glue.worker_type}) carry "
            f"{glue.slots} lanes at one time: lower it, leave it out, or raise engine.glue.workers"
        )
    return glue


def problems(
    plan: RefreshPlan,
    is_at_work: Callable[[str], bool] = lambda _run_id: False,
    note: Callable[[str], None] = lambda _text: None,
) -> list[DownstageError]:
    """What would keep a refresh from using the job, if it is to. Where a run that `is_at_work` on the environment uses
    it, that is no more than a note: what keeps a second refresh from it is that run, and the job is free after it."""
    if plan.engine.name != "glue":
        return []
    try:
        glue = check(plan)
        jobs, parcels = job_of(plan, glue)
        refuse_unless_ready(jobs, parcels, glue)
        for run in jobs.runs():
            if run.ended:
                continue
            ours = run.arguments.get(RUN, "")
            if not ours or not is_at_work(ours):
                raise in_the_way(glue.job, run)
            note(f"job {glue.job} is at work for {plan.target.name}'s own run {ours} (Glue run {run.run_id})")
    except DownstageError as error:
        return [error]
    return []


def place_of(plan: RefreshPlan, glue: GluePlan) -> Environment:
    """Where the job runs, signed in to as whoever started Downstage."""
    return replace(
        plan.source,
        name="glue",
        account=glue.account,
        region=glue.region,
        role=None,
        external_id=None,
        protected=False,
        search_endpoints=(),
    )


def job_of(plan: RefreshPlan, glue: GluePlan) -> tuple[GlueJob, BucketParcels]:
    """The job and its bucket. Raises GuardRefused if these credentials are of another account."""
    place = place_of(plan, glue)
    session = Session(place)
    caller = session.caller()
    if caller.account != glue.account:
        raise GuardRefused(
            f"engine.glue.role is of account {glue.account}, but you are signed in to {caller.account}: whoever starts "
            "the job is of its account; correct engine.glue.role, or sign in there (nothing was written)"
        )
    return GlueJob(session, Session(place, patient=False), glue.job), BucketParcels(session, glue.bucket)


def engine_of(
    plan: RefreshPlan, run: RunRecord, journal: Recorded, sealer: Sealer, clock: Clock
) -> Callable[[], Engine]:
    """Makes engines for the lanes of one run. Raises ConfigError if they cannot run there, and GuardRefused. Before a
    refresh wipes anything it is seen to that the job is ready and free. Afterwards that is seen to before each start
    alone: what is left to do may need no lanes. No earlier attempt's run is let be at any time."""
    glue = check(plan)
    jobs, parcels = job_of(plan, glue)
    folder = f"{glue.prefix}parcels/{run.run_id}/"
    order = GlueOrder(
        job=glue.job,
        run_id=run.run_id,
        epoch=run.epoch,
        at_once=plan.engine.workers,
        folder=folder,
        bucket=glue.bucket,
        where=glue.region,
        arguments={
            "--downstage-key": plan.masking.key,
            "--downstage-source": as_json(there(plan.source)),
            "--downstage-place": as_json(there(place_of(plan, glue))),
        },
        patience=glue.timeout_minutes * 60.0 + _WAITING,
        first_line=first_line,
    )

    starts = Starts(parcels, folder, run.epoch, clock.now)

    def make() -> GlueEngine:
        return GlueEngine(jobs, parcels, sealer, order, clock, lambda: refuse_unless_ready(jobs, parcels, glue), starts)

    if run.kind == "refresh":
        wipes = _is_to_wipe(run, journal)
        if wipes:
            refuse_unless_ready(jobs, parcels, glue)
        make().clear_the_way(of_others=wipes)
    return make


def _is_to_wipe(run: RunRecord, journal: Recorded) -> bool:
    """Whether the refresh may still be refused without harm: a wipe that is done, or not wanted, refuses nothing."""
    wipe = journal.step(run.run_id, "wipe")
    return wipe is None or wipe.state not in (StepState.DONE, StepState.SKIPPED)


def runs_of(plan: RefreshPlan, run_id: str) -> list[GlueRun]:
    """The job's runs that carried lanes of that run, newest first. What AWS says of them is redacted."""
    jobs, _ = job_of(plan, glue_of(plan))
    return [
        replace(run, message=first_line(run.message), detail=first_line(run.detail))
        for run in jobs.runs()
        if run.arguments.get(RUN) == run_id
    ]


def stop(plan: RefreshPlan, run_id: str) -> list[str]:
    """Has AWS end the active runs of that run; gives their ids."""
    jobs, _ = job_of(plan, glue_of(plan))
    active = [run.run_id for run in jobs.runs() if run.arguments.get(RUN) == run_id and not run.ended]
    for one in active:
        jobs.stop(one)
    return active


def first_line(message: str) -> str:
    """AWS's words in one line: they come out of the job's logs, and may quote anything."""
    lines = message.strip().splitlines()
    return redact(lines[0])[:_LONGEST_MESSAGE] if lines else ""


def there(environment: Environment) -> Environment:
    """The environment as a Glue worker signs in to it."""
    return replace(environment, profile=None, credentials_file=None)


def travelling(worker: LaneWorker) -> LaneWorker:
    """The worker with environments that mean something there."""
    return replace(
        worker,
        source=there(worker.source),
        target=there(worker.target),
        journal=_place_there(worker.journal),
        lease=None if worker.lease is None else replace(worker.lease, environment=there(worker.lease.environment)),
        exporter=None,
    )


def _place_there(place: JournalPlace) -> JournalPlace:
    return replace(place, environment=there(place.environment)) if isinstance(place, ControlPlace) else place


def as_json(environment: Environment) -> str:
    """What `jobs.glue_main.environment_from` reads; only what is not the default."""
    defaults = asdict(Environment("", "", ""))
    values = {name: value for name, value in asdict(environment).items() if value != defaults[name]}
    return json.dumps(values, separators=(",", ":"))
