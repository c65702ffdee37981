"""A small JSON server on loopback: counts what is asked of it, and fails on request in the ways that real ones do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """One answer. A body of None is no body."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with the next `times` matching requests: an answer instead, or a connection that breaks off.

    `lose` breaks it off after the request was carried out: nobody learns that it was.
    """

    method: str
    ending: str
    reply: Reply | None = None
    lose: bool = False
    times: int = 1


class JsonServer:
    """What the servers have in common. `answer` is theirs."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, call: Call) -> Reply:
        """Carries the request out."""
        raise NotImplementedError

    def count(self, method: str, ending: str = "") -> int:
        """How many requests of that kind have come."""
        return sum(1 for call in self.calls if call.method == method and call.path.endswith(ending))

    def handle(self, call: Call) -> Reply | None:
        """The answer, or None for a connection that breaks off."""
        with self.lock:
            self.calls.append(call)
            for fault in self.faults:
                if fault.times > 0 and fault.method == call.method and call.path.endswith(fault.ending):
                    fault.times -= 1
                    if fault.lose:
                        self.answer(call)
                    return fault.reply
            return self.answer(call)


def _handler(server: JsonServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # one packet an answer

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            call = Call(
                self.command,
                unquote(parts.path),
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(raw) if raw else None,
            )
            reply = server.handle(call)
            if reply is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_CONNECT = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler


S = TypeVar("S", bound=JsonServer)


@contextmanager
def serving(server: S, prefix: str = "", ready: Callable[[str], None] = lambda _url: None) -> Iterator[S]:
    """The server on a free port of this machine."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    httpd.daemon_threads = True
    httpd.block_on_close = False
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}{prefix}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    ready(server.url)
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
