"""Deploying the Glue job: its script, its packages and its settings; and whether it still is what was deployed.

What was deployed is written down in the bucket, beside the files, whose names hold their digests. A job that differs
from that was changed by hand: deploying says how and leaves it alone unless told otherwise, and a refresh does not
start. The same goes for a job of another Downstage than this one, whose parcels it would misread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from typing import Any

from downstage import __version__
from downstage.app.glue_bundle import bundle, own_files
from downstage.aws.glue import GlueJob
from downstage.aws.parcels import BucketParcels
from downstage.domain.glue import TOGETHER, GluePlan
from downstage.engines.own_code import code_digest
from downstage.engines.spark_session import MUST
from downstage.errors import ConfigError, GuardRefused

_AGAIN = "deploy it again with 'downstage glue deploy ENV'"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment left: where its files lie, the code's digest, and the job's settings; if they are `complete`,
    with what AWS added to them by itself. Deployments of before noted only what they had set: of the rest nobody can
    tell whether it was set by hand."""

    version: str
    code: str
    script: str
    bundle: str
    settings: Mapping[str, Any]
    complete: bool = False

    def comparable(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of the job's settings now can be held against those that it was left with."""
        return current if self.complete else {name: current[name] for name in self.settings if name in current}

    @classmethod
    def read(cls, parcels: BucketParcels, glue: GluePlan) -> Deployed | None:
        """The last deployment; None if there was none, or what is written there is not ours."""
        content = parcels.get(record_key(glue))
        if content is None:
            return None
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return None


def deploy(
    jobs: GlueJob,
    parcels: BucketParcels,
    glue: GluePlan,
    wheel: tuple[str, bytes],
    dependencies: Callable[[], Mapping[str, bytes]],
    *,
    force: bool = False,
) -> Iterator[str]:
    """Brings the job to what is configured and yields what was done. Raises GuardRefused, before anything is written,
    if it was changed by hand; `force` overwrites that."""
    last, current = Deployed.read(parcels, glue), jobs.settings()
    if current is not None and not force:
        if last is None:
            raise GuardRefused(
                f"there is a Glue job {glue.job} that Downstage did not deploy: name another one in engine.glue.job, "
                "or overwrite it with --force (nothing was written)"
            )
        changed = list(differences(last.comparable(current), last.settings))
        if changed:
            raise GuardRefused(
                f"Glue job {glue.job} was changed by hand; put it back, or overwrite it with --force (nothing was "
                "written):\n  " + "\n  ".join(changed)
            )
    if current is not None and last is not None and not force:
        for what, key in _changed_files(parcels, last):
            raise GuardRefused(
                f"the {what} of Glue job {glue.job} was changed by hand: {key} is not what was deployed; overwrite it "
                "with --force (nothing was written)"
            )
    script = script_text()
    packages = bundle({**dependencies(), wheel[0]: wheel[1]})
    script_key = f"{glue.prefix}scripts/glue_main-{_digest(script)}.py"
    bundle_key = f"{glue.prefix}packages/downstage-{__version__}-{_digest(packages)}.gluewheels.zip"
    for key, content in ((script_key, script), (bundle_key, packages)):
        if parcels.put_once(key, content):
            yield f"uploaded s3://{glue.bucket}/{key} ({len(content):,} bytes)"
        else:
            yield f"there already: s3://{glue.bucket}/{key}"
    wanted = settings_of(glue, script_key, bundle_key)
    seen = (current or {}) if last is None or force else last.comparable(current or {})
    if current is None:
        jobs.create(wanted)
        yield f"created Glue job {glue.job}"
    elif changed := list(differences(seen, {**({} if last is None else last.settings), **wanted}, label="now")):
        jobs.update(wanted)
        yield f"updated Glue job {glue.job}: " + "; ".join(changed)
    else:
        yield f"as it was: Glue job {glue.job}"
    record = {
        "version": __version__,
        "code": code_digest(own_files()),
        "script": script_key,
        "bundle": bundle_key,
        "settings": {**(jobs.settings() or {}), **wanted},
        "complete": True,
    }
    parcels.put(record_key(glue), json.dumps(record, indent=2, default=str).encode())


def refuse_unless_ready(jobs: GlueJob, parcels: BucketParcels, glue: GluePlan) -> Mapping[str, str]:
    """Gives the arguments that the job has by itself. Raises ConfigError unless it is deployed, as configured, of this
    code, and not changed since."""
    last, current = Deployed.read(parcels, glue), jobs.settings()
    if last is None or current is None:
        raise ConfigError(f"Glue job {glue.job} is not deployed: do that with 'downstage glue deploy ENV'")
    changed = [line.partition(":")[0] for line in differences(last.comparable(current), last.settings)]
    if changed:
        raise ConfigError(
            f"Glue job {glue.job} was changed by hand ({', '.join(changed)}): 'downstage glue deploy ENV' tells how it "
            "differs; put it back, or overwrite it with --force"
        )
    for what, _ in _changed_files(parcels, last):
        raise ConfigError(
            f"the {what} of Glue job {glue.job} was changed by hand: overwrite it with "
            "'downstage glue deploy ENV --force'"
        )
    if last.code != code_digest(own_files()):
        raise ConfigError(f"Glue job {glue.job} has another code than this downstage {__version__}: {_AGAIN}")
    wanted = settings_of(glue, last.script, last.bundle)
    outdated = [line.partition(":")[0] for line in differences({**last.settings, **wanted}, last.comparable(current))]
    if outdated:
        raise ConfigError(f"Glue job {glue.job} is not as configured ({', '.join(outdated)}): {_AGAIN}")
    return dict(wanted["DefaultArguments"])


def settings_of(glue: GluePlan, script: str, packages: str) -> dict[str, Any]:
    """The job as it is wanted. `MaxRetries` is 0, for who starts a run again is Downstage."""
    where = f"s3://{glue.bucket}/"
    return {
        "Description": "Made by 'downstage glue deploy'; changes by hand are refused.",
        "Role": glue.role,
        "ExecutionProperty": {"MaxConcurrentRuns": TOGETHER},
        "Command": {"Name": "glueetl", "ScriptLocation": f"{where}{script}", "PythonVersion": "3"},
        "DefaultArguments": {
            "--additional-python-modules": f"{where}{packages}",
            "--python-modules-installer-option": "--no-index",
            "--job-bookmark-option": "job-bookmark-disable",
            "--conf": " --conf ".join(f"{name}={value}" for name, value in MUST.items()),
            "--TempDir": f"{where}{glue.prefix}temporary/",
        },
        "MaxRetries": 0,
        "Timeout": glue.timeout_minutes,
        "GlueVersion": glue.version,
        "WorkerType": glue.worker_type,
        "NumberOfWorkers": glue.workers,
    }


def differences(
    current: Mapping[str, Any], wanted: Mapping[str, Any], within: str = "", label: str = "deployed"
) -> Iterator[str]:
    """A line for each setting that differs: `NAME: what it is (deployed: what it was)`. Values that we did not set are
    not repeated."""
    for name in sorted({*current, *wanted}):
        here, there = current.get(name), wanted.get(name)
        if here == there:
            continue
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            yield from differences(here, there, f"{within}{name} ", label)
        elif name not in wanted:
            yield f"{within}{name}: is set ({label}: not set)"
        else:
            yield f"{within}{name}: {'not set' if here is None else here} ({label}: {there})"


def script_text() -> bytes:
    """The script that Glue runs."""
    return resources("downstage").joinpath("jobs/glue_main.py").read_bytes()


def record_key(glue: GluePlan) -> str:
    """Where it is written down what was deployed."""
    return f"{glue.prefix}deployed/{glue.job}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _changed_files(parcels: BucketParcels, last: Deployed) -> Iterator[tuple[str, str]]:
    """What is not as it was deployed, and its key, which tells the digest."""
    for what, key in (("script", last.script), ("bundle", last.bundle)):
        if not parcels.holds(key, key.rpartition("-")[2].partition(".")[0]):
            yield what, key
