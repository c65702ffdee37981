"""Chat, mail and paging services, through apprise: one URL names the service and holds its secrets.

Rules: the URL is read where it is kept and stands in no message; redirects are not followed, whatever the URL says;
nothing that apprise logs is shown, for it may quote the service's answer; apprise is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from downstage.domain.notice import Notice, Occasion
from downstage.errors import ConfigError
from downstage.notify.attempts import Failed, attempt
from downstage.notify.documents import text_of, title_of
from downstage.ports import Clock

if TYPE_CHECKING:
    from apprise import NotifyBase

_LONGEST = 10.0
_KINDS = {Occasion.END: "success", Occasion.FAILURE: "failure", Occasion.APPROVAL: "warning"}


@dataclass(frozen=True, slots=True)
class Service:
    """Implements `ports.Notifier`. `url` reads the URL where it is kept; `setting` is where the configuration says
    that."""

    setting: str
    url: Callable[[], str] = field(repr=False)
    clock: Clock

    def check(self) -> None:
        """Raises ConfigError if the extra is missing, or the URL is none that apprise knows."""
        self._open()

    def send(self, notice: Notice) -> None:
        """Sends title and text. Raises NotifyError if the service does not take them."""
        service = self._open()
        from apprise import NotifyType

        title, text = title_of(notice), text_of(notice)
        kind = NotifyType(_KINDS.get(notice.occasion, "info"))

        def once() -> Failed | None:
            sent = service.notify(title=title, body=text, notify_type=kind)
            return None if sent else Failed("the service does not answer, or refuses the message")

        attempt(once, self.clock)

    def _open(self) -> NotifyBase:
        try:
            import apprise
        except ImportError:
            raise ConfigError(
                f"{self.setting}.apprise needs an extra: pip install 'downstage[notify]', or use 'webhook'"
            ) from None
        asset = apprise.AppriseAsset(app_id="Downstage", async_mode=False, http_redirects=False)
        url = self.url().strip()
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            raise ConfigError(f"{self.setting}.apprise holds no URL that apprise understands{_of_scheme(url)}")
        _bind(service)
        return service


def _bind(service: Any) -> None:
    """Nothing that the URL says makes it wait for long, follow a redirect or accept any certificate."""
    service.redirects = False
    service.verify_certificate = True
    service.socket_connect_timeout = min(float(service.socket_connect_timeout or _LONGEST), _LONGEST)
    service.socket_read_timeout = min(float(service.socket_read_timeout or _LONGEST), _LONGEST)


def _of_scheme(url: str) -> str:
    """The service that the URL names, if it is a word: that is no secret."""
    scheme, found, _ = url.partition("://")
    known = found and scheme.isascii() and scheme.isalnum() and len(scheme) <= 20
    return f" (a URL of {scheme}://)" if known else ""
