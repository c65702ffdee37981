"""AWS Glue's API for one account, over real HTTP, with the states that no stand-in has; and buckets for its files.

A run begins as STARTING and becomes what `script` says, one state at each look, or what the `job` made of it: `job` is
called in a thread with the arguments of a run, as Glue calls the script, and gives the exit code, or the state that AWS
put an end to it with. A run is given the arguments that it was started with, and none of the job's own: that is how
botocore tells it. `lose` swallows the answers of so many starts, which have begun all the same; `refuse` so many though
a slot seems free; `busy` answers so many looks at runs and files with what passes. `calls` counts operations. `summed`
are the files that were written with a SHA-256, which S3 tells when it is asked: that of what they hold now. What is not
Glue's goes to `beyond`, if there is such a server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from downstage.domain.glue import ENDED

ACCOUNT = "111111111111"
STARTED = 1.8e9
"""When every run was asked for."""

BUSY = ((500, "InternalServiceException"), (400, "ThrottlingException"), (400, "OperationTimeoutException"))


@dataclass
class Run:
    """One run: its states to come; the last one stays."""

    run_id: str
    arguments: dict[str, str]
    states: list[str]
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> dict[str, Any]:
        """As AWS tells it, which counts no time of a run that goes on."""
        return {"Id": self.run_id, "JobRunState": self.states[0], "Arguments": self.arguments, "StartedOn": STARTED,
                "ExecutionTime": 90 if self.states[0] in ENDED else 0, "MaxCapacity": 10.0, **self.told}  # fmt: skip


@dataclass
class FakeGlue:
    """The state of the account; `serving` gives one that listens."""

    endpoint: str = ""
    account: str = ACCOUNT
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    summed: set[str] = field(default_factory=set)
    script: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    job: Callable[[list[str]], int | str] | None = None
    beyond: str = ""
    refuse: int = 0
    busy: int = 0
    lose: int = 0
    lose_unstarted: int = 0
    sorry: bool = False
    late: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    at_once: int = 2
    threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin_anew(self) -> None:
        """Forgets everything but where it listens."""
        self.__dict__.update(FakeGlue(endpoint=self.endpoint).__dict__)

    def begin(self, arguments: dict[str, str], states: list[str] | None = None) -> Run:
        """A run, as StartJobRun begins it."""
        with self._lock:
            run = Run(
                f"jr_{len(self.runs):04}", arguments, list(states or self.script or ["STARTING"]), dict(self.told)
            )
            self.runs.append(run)
        if self.job is not None:
            thread = threading.Thread(target=self._carry, args=(run, self.job), daemon=True)
            self.threads.append(thread)
            thread.start()
        return run

    def _carry(self, run: Run, job: Callable[[list[str]], int | str]) -> None:
        arguments = [word for pair in run.arguments.items() for word in pair]
        extra = ["--JOB_ID", "j_1", "--JOB_NAME", "copy", "--JOB_RUN_ID", run.run_id,
                 "--job-bookmark-option", "job-bookmark-disable", "--TempDir", "s3://b/t/"]  # fmt: skip
        run.states = ["RUNNING"]
        ended = job([*extra, *arguments])
        if isinstance(ended, str):
            run.states = [ended]
        elif run.states == ["RUNNING"]:
            run.states = ["FAILED" if ended else "SUCCEEDED"]

    def answer(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """The status and the answer of a Glue operation; None for no answer at all."""
        with self._lock:
            self.calls[operation] += 1
            if operation == "StartJobRun":
                return self._start(asked)
            if operation in ("CreateJob", "UpdateJob"):
                return self._keep(operation, asked)
            if asked["JobName"] not in self.jobs:
                return 400, {"__type": "EntityNotFoundException", "Message": "no such job"}
            if operation == "GetJob":
                added = {"Name": asked["JobName"], "CreatedOn": STARTED, "LastModifiedOn": STARTED, "MaxCapacity": 10.0,
                         "AllocatedCapacity": 10, "JobMode": "SCRIPT", "ExecutionClass": "STANDARD",
                         "JobRunQueuingEnabled": False}  # fmt: skip
                return 200, {"Job": {**added, **self.jobs[asked["JobName"]]}}
            if self.busy and operation in ("GetJobRun", "GetJobRuns"):
                self.busy -= 1
                status, code = BUSY[self.busy % len(BUSY)]
                return status, {"__type": code, "Message": "later"}
            if operation == "GetJobRun":
                run = next(run for run in self.runs if run.run_id == asked["RunId"])
                record = run.record
                if len(run.states) > 1:
                    run.states.pop(0)
                return 200, {"JobRun": record}
            if operation == "GetJobRuns":
                if self.late:
                    self.late -= 1
                    return 200, {"JobRuns": []}
                return 200, {"JobRuns": [run.record for run in reversed(self.runs)][: asked["MaxResults"]]}
            if operation == "BatchStopJobRun":
                for run in self.runs:
                    if run.run_id in asked["JobRunIds"] and run.states[0] not in (*ENDED, "STOPPING"):
                        run.states = ["STOPPING", "STOPPING", "STOPPED"]
                        self.stopped.append(run.run_id)
                return 200, {"SuccessfulSubmissions": [], "Errors": []}
        raise AssertionError(operation)

    def _start(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        if asked["JobName"] not in self.jobs:
            return 400, {"__type": "EntityNotFoundException", "Message": "no such job"}
        if self.lose_unstarted:
            self.lose_unstarted -= 1
            return None
        active = [run for run in self.runs if run.states[0] not in ENDED]
        self.refuse -= bool(refused := self.refuse)
        if len(active) >= self.at_once or refused:
            return 400, {"__type": "ConcurrentRunsExceededException", "Message": "too many"}
        run = self.begin(asked["Arguments"])
        if self.lose:
            self.lose -= 1
            return (500, {"__type": "InternalServiceException", "Message": "sorry"}) if self.sorry else None
        return 200, {"JobRunId": run.run_id}

    def _keep(self, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if operation == "CreateJob":
            name = asked.pop("Name")
            asked.pop("Tags")
            self.jobs[name] = asked
            return 200, {"Name": name}
        self.jobs[asked["JobName"]] = asked["JobUpdate"]
        return 200, {"JobName": asked["JobName"]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    glue: FakeGlue

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""

    def do_POST(self) -> None:
        target = self.headers.get("X-Amz-Target", "")
        if self.glue.beyond and not target.startswith("AWSGlue."):
            self._pass_on()
            return
        body = self._body()
        if not target.startswith("AWSGlue."):
            account = self.glue.account
            text = (f"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>{account}</Account><Arn>"
                    f"arn:aws:iam::{account}:role/launch</Arn><UserId>u</UserId></GetCallerIdentityResult>"
                    "</GetCallerIdentityResponse>")  # fmt: skip
            self._send(200, text.encode(), "text/xml")
            return
        told = self.glue.answer(target.partition(".")[2], json.loads(body))
        if told is None:
            self.close_connection = True
            return
        status, answer = told
        self._send(status, json.dumps(answer).encode(), "application/x-amz-json-1.1")

    def do_DELETE(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        if self.glue.beyond:
            self._pass_on()
            return
        body, objects = self._body(), self.glue.objects
        assert self.headers["x-amz-expected-bucket-owner"] == self.glue.account
        if self.headers.get("If-None-Match") == "*" and self.path in objects:
            self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>", "text/xml")
            return
        objects[self.path] = body
        self.glue.summed.discard(self.path)
        if told := self.headers.get("x-amz-checksum-sha256"):
            assert told == _sum_of(body)
            self.glue.summed.add(self.path)
        self._send(200, b"", "text/xml", {"ETag": '"e"'})

    def do_GET(self) -> None:
        if self.glue.beyond:
            self._pass_on()
            return
        if self.glue.busy:
            self.glue.busy -= 1
            self._send(503, b"<Error><Code>SlowDown</Code></Error>", "text/xml")
            return
        content = self.glue.objects.get(self.path.partition("?")[0])
        if content is None:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>", "text/xml")
        else:
            self._send(200, content, "application/octet-stream")

    def do_HEAD(self) -> None:
        if self.glue.beyond:
            self._pass_on()
            return
        path = self.path.partition("?")[0]
        content = self.glue.objects.get(path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        if content is not None and path in self.glue.summed and self.headers.get("x-amz-checksum-mode") == "ENABLED":
            self.send_header("x-amz-checksum-sha256", _sum_of(content))
        self.end_headers()

    def _pass_on(self) -> None:
        """Asks the server beyond in the same words, and answers in its own."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = HTTPConnection(self.glue.beyond.removeprefix("http://"), timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
            raise AssertionError("chunked")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" not in (self.headers.get("Content-Encoding") or ""):
            return body
        whole, rest = b"", body
        while rest:
            head, _, rest = rest.partition(b"\r\n")
            size = int(head.partition(b";")[0], 16)
            if not size:
                break
            whole, rest = whole + rest[:size], rest[size + 2 :]
        return whole

    def _send(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _sum_of(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@contextmanager
def serving() -> Iterator[FakeGlue]:
    """One that listens until the block ends."""
    glue = FakeGlue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"glue": glue}))
    server.daemon_threads = True
    glue.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield glue
    finally:
        for carried in glue.threads:
            carried.join(10)
        server.shutdown()
        server.server_close()
        thread.join()
