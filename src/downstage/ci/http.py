"""JSON over HTTPS to a CI's API, with the manners that such an API asks for.

Rules: what only looks is asked again after a hiccup; what starts something never is, unless the server says that it did
nothing (429) or nothing can have reached it. `Retry-After` is obeyed within bounds, and every wait is the clock's. The
token goes nowhere but to its endpoint (redirects are not followed) and stands in no message and no repr; neither does
what the server said, except for its own short reason, redacted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib import request as proxies
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

from downstage.errors import CiError, CiUnreachable, ConfigError
from downstage.ports import Clock

TRIES = 5
LONGEST_WAIT = 120.0
"""Seconds that one `Retry-After` may ask for."""

_MOST_PAGES = 100
_LARGEST = 10_000_000
_REASON = 200
_HICCUPS = (500, 502, 503, 504)
_TIME_OUT = urllib3.Timeout(connect=10.0, read=60.0)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ADVICE = {
    401: "it does not accept the token: renew what {token} holds",
    403: "it denies it: give the token of {token} the right to",
    404: "there is no such thing, or the token of {token} may not see it: check the names",
}


@dataclass(frozen=True, slots=True)
class Token:
    """Where a token is kept, and how to read it. `headers` puts it where the server wants it."""

    reference: str
    read: Callable[[], bytes] = field(repr=False)
    header: str = field(repr=False)
    scheme: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """The header that signs a request. Raises ConfigError for what cannot be a token."""
        text = self.read().decode("ascii", "replace").strip()
        if not text or not all(33 <= ord(character) <= 126 for character in text):
            raise ConfigError(f"{self.reference} holds no token: it must be one line of plain characters")
        return {self.header: f"{self.scheme}{text}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status and the JSON body (None if there is none)."""

    status: int
    body: Any = field(repr=False)


class Api:
    """One API. `service` is its name in messages; `redact` takes addresses out of what it says."""

    def __init__(
        self,
        endpoint: str,
        service: str,
        token: Token,
        *,
        clock: Clock,
        redact: Callable[[str], str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.service = service
        self.token = token
        self._clock = clock
        self._redact = redact
        self._headers = {"Accept": "application/json", "User-Agent": "downstage", **(headers or {})}
        self._pool = pool_for(self.endpoint, _TIME_OUT)
        self._signed: Mapping[str, str] | None = None

    def get(self, path: str, what: str, query: Mapping[str, str | int] | None = None) -> Any:
        """Looks. `what` completes "could not …". Raises CiError, CiUnreachable."""
        return self._call("GET", path, what, None, query).body

    def send(self, method: str, path: str, what: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Changes something. CiUnreachable means that it may have been done all the same."""
        return self._call(method, path, what, body, None)

    def pages(self, path: str, what: str, query: Mapping[str, str | int] | None = None) -> Iterator[Mapping[str, Any]]:
        """The items of a listing that is paged by `next_page_token`, bounded. Raises CiError."""
        asked = dict(query or {})
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            page = self.get(path, what, asked)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise CiError(f"could not {what}: {self.service} answered with something that is no listing")
            yield from page["items"]
            token = page.get("next_page_token")
            if not token:
                return
            if token in seen:
                raise CiError(f"could not {what}: {self.service}'s listing goes round in a circle")
            seen.add(token)
            asked["page-token"] = token
        raise CiError(f"could not {what}: {self.service} has more than {_MOST_PAGES} pages of them")

    def _call(
        self, method: str, path: str, what: str, body: Mapping[str, Any] | None, query: Mapping[str, str | int] | None
    ) -> Answer:
        url = f"{self.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            try:
                response = self._exchange(method, url, body)
            except SSLError:
                raise CiUnreachable(
                    f"could not {what}: no trusted connection to {self.service} at {self._host}; check its "
                    "certificate, or name your own authorities with REQUESTS_CA_BUNDLE"
                ) from None
            except HTTPError as error:
                if last or not (method != "POST" or _never_sent(error)):
                    raise CiUnreachable(
                        f"could not {what}: {self.service} at {self._host} does not answer, or broke off; check the "
                        "network, then try again"
                    ) from None
                self._clock.sleep(2.0**attempt)
                continue
            if response.status == 429 and not last:
                self._clock.sleep(self._pause(response, attempt))
            elif response.status in _HICCUPS and method != "POST" and not last:
                self._clock.sleep(2.0**attempt)
            else:
                return self._answer(response, what)
        raise AssertionError("the last attempt answers or raises")

    def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None) -> urllib3.BaseHTTPResponse:
        if self._signed is None:
            self._signed = self.token.headers()
        headers = {**self._headers, **self._signed}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        return self._pool.request(method, url, body=content, headers=headers, redirect=False, preload_content=True)

    def _answer(self, response: urllib3.BaseHTTPResponse, what: str) -> Answer:
        content = _json(response)
        if 200 <= response.status < 300:
            if content is _NO_JSON:
                raise CiError(f"could not {what}: {self.service} answered with something that is no JSON")
            return Answer(response.status, content)
        if response.status == 401:
            self._signed = None
        raise self._refusal(response.status, content, what)

    def _refusal(self, status: int, content: Any, what: str) -> CiError:
        said = content.get("message") if isinstance(content, dict) else None
        reason = " ".join(self._redact(str(said)).split())[:_REASON] if said else ""
        told = f", saying '{reason}'" if reason else ""
        advice = _ADVICE.get(status, "").format(token=self.token.reference)
        message = f"could not {what}: {self.service} answered {status}{told}" + (f"; {advice}" if advice else "")
        if status == 429:
            return CiUnreachable(f"{message}; it asks to be called less often: try again later", status)
        return CiUnreachable(message, status) if status in _HICCUPS else CiError(message, status)

    def _pause(self, response: urllib3.BaseHTTPResponse, attempt: int) -> float:
        """What `Retry-After` asks for (seconds, or a date), within bounds; else twice as long each time."""
        asked = response.headers.get("Retry-After", "")
        if asked.strip().isdigit():
            return min(float(asked), LONGEST_WAIT)
        try:
            return min(max(parsedate_to_datetime(asked).timestamp() - self._clock.now(), 1.0), LONGEST_WAIT)
        except (TypeError, ValueError):
            return 2.0**attempt

    @property
    def _host(self) -> str:
        return urlsplit(self.endpoint).netloc


_NO_JSON = object()


def _json(response: urllib3.BaseHTTPResponse) -> Any:
    if not response.data:
        return None
    if len(response.data) > _LARGEST:
        return _NO_JSON
    try:
        return json.loads(response.data)
    except ValueError:
        return _NO_JSON


def _never_sent(error: HTTPError) -> bool:
    return isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError)


def pool_for(endpoint: str, time_out: urllib3.Timeout) -> urllib3.PoolManager:
    """Connections to one endpoint, through the proxy that the environment names for it, if any. Nothing is tried twice
    by themselves."""
    parts = urlsplit(endpoint)
    settings: dict[str, Any] = {
        "retries": False,
        "timeout": time_out,
        "ca_certs": os.environ.get("REQUESTS_CA_BUNDLE"),
    }
    known = proxies.getproxies_environment()
    chosen = known.get(parts.scheme)
    bypassed = proxies.proxy_bypass_environment(parts.netloc, known)  # type: ignore[attr-defined]
    if not chosen or parts.hostname in _LOOPBACK or bypassed:
        return urllib3.PoolManager(**settings)
    url = urllib3.util.parse_url(chosen if "://" in chosen else f"http://{chosen}")
    auth = urllib3.make_headers(proxy_basic_auth=url.auth) if url.auth else None
    return urllib3.ProxyManager(url.url, proxy_headers=auth, **settings)
