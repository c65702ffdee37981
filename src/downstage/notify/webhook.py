"""A plain webhook: a JSON document of our own is posted to a URL, and signed if a key is given for that.

Rules: https, or http to this machine; redirects are not followed, for whoever redirects was not chosen; the URL may be
a secret itself, so no message holds it; a try ends within seconds, and nothing of an answer is kept but its status.

The signature lets the receiver tell our messages from others', and old ones from new: HMAC-SHA-256 over the time, a dot
and the body, under the bytes of the key.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError

from downstage.domain.notice import Notice
from downstage.errors import ConfigError
from downstage.notify.attempts import Failed, attempt
from downstage.notify.documents import body_of
from downstage.ports import Clock

TIME_OUT = urllib3.Timeout(connect=5.0, read=10.0)
SHORTEST_KEY = 16
"""Bytes."""

_TO_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Implements `ports.Notifier`. `url` and `key` read them where they are kept; `setting` is where the configuration
    says that; `pool` gives connections to a URL, through a proxy if there is one."""

    setting: str
    url: Callable[[], str] = field(repr=False)
    key: Callable[[], bytes] | None = field(repr=False)
    pool: Callable[[str, urllib3.Timeout], urllib3.PoolManager]
    clock: Clock

    def check(self) -> None:
        """Raises ConfigError for a URL or a key that cannot be one."""
        self._url()
        self._key()

    def send(self, notice: Notice) -> None:
        """Posts the notice. Raises NotifyError if nobody has said that it arrived. A try whose answer is lost is
        repeated with the same `Downstage-Delivery`, so the receiver can drop it."""
        url, key, body = self._url(), self._key(), body_of(notice)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "downstage",
            "Downstage-Event": notice.occasion.value,
            "Downstage-Delivery": uuid.uuid4().hex,
        }
        if key is not None:
            headers["Downstage-Signature"] = signature(key, int(self.clock.now()), body)
        pool = self.pool(url, TIME_OUT)
        try:
            attempt(lambda: _post(pool, url, body, headers), self.clock)
        finally:
            pool.clear()

    def _url(self) -> str:
        url = self.url().strip()
        if problem := _problem(url):
            raise ConfigError(f"{self.setting}.url {problem}")
        return url

    def _key(self) -> bytes | None:
        if self.key is None:
            return None
        key = self.key().strip()
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"{self.setting}.key holds {len(key)} bytes: a key has {SHORTEST_KEY} at least")
        return key


def signature(key: bytes, at: int, body: bytes) -> str:
    """The header's value: `t=SECONDS,v1=HEX`, with seconds since the epoch."""
    digest = hmac.new(key, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _post(pool: urllib3.PoolManager, url: str, body: bytes, headers: dict[str, str]) -> Failed | None:
    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
    except SSLError:
        return Failed("there is no trusted connection to it; check its certificate", again=False)
    except LocationParseError:
        return Failed("its URL cannot be read", again=False)
    except HTTPError:
        return Failed("it does not answer")
    answer.close()
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return Failed(f"it answered {answer.status}: redirects are not followed, name the last URL", again=False)
    asked = answer.headers.get("Retry-After", "").strip()
    pause = float(asked) if asked.isdigit() and len(asked) < 6 else None
    return Failed(f"it answered {answer.status}", answer.status in _TO_TRY_AGAIN, pause)


def _problem(url: str) -> str:
    """Why it cannot be a webhook's URL, or nothing."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "holds no URL"
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        return "holds no https:// URL"
    if parts.username is not None or parts.password is not None:
        return "holds a URL with a user name or password; sign with a 'key' instead"
    if parts.scheme == "http" and not _is_here(host):
        return "holds an http:// URL: https is needed, but for this machine"
    return ""


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
