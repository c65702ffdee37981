"""The options of one strategy as its maker reads them: each checked once, with the place in the policy file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from downstage.domain.policy import StrategySpec
from downstage.errors import ConfigError

_EVERYWHERE = ("domain", "on_merge")
_DOMAIN = re.compile(r"[a-z0-9_/-]+")


class Options:
    """The options of `spec`. `known` are those that the strategy has beside `domain` and `on_merge`; raises
    ConfigError for any other, and every method does for a value that cannot be."""

    def __init__(self, spec: StrategySpec, known: Iterable[str]) -> None:
        self._spec = spec
        allowed = (*known, *_EVERYWHERE)
        for name in spec.options:
            if name not in allowed:
                raise self.wrong(f"has no option '{name}'; it has {', '.join(allowed)}")
        if spec.options.get("on_merge", "fail") not in ("fail", "merge"):
            raise self.wrong("needs 'on_merge' to be 'fail' or 'merge'")

    def wrong(self, what: str) -> ConfigError:
        """The error that says what is wrong with this strategy, and where it stands."""
        place = f"{self._spec.place}: " if self._spec.place else ""
        return ConfigError(f"{place}the strategy '{self._spec.name}' {what}")

    def domain(self, default: str | None = None) -> str:
        """The pseudonym domain: as given, else `default`, else `<strategy>/v1`."""
        domain = self._spec.options.get("domain", default or f"{self._spec.name}/v1")
        if not isinstance(domain, str) or not _DOMAIN.fullmatch(domain):
            raise self.wrong("needs 'domain' to be a text of a-z, 0-9, '_', '/' and '-'")
        return domain

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._spec.options.get(name, default)
        if not isinstance(value, str) or not value:
            raise self.wrong(f"needs '{name}', a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text that is not empty, or None if it is not given."""
        return self.text(name) if name in self._spec.options else None

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`."""
        value = self._spec.options.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(f"needs '{name}', a whole number from {low} to {high}")
        return value

    def positive(self, name: str, high: float, default: float | None = None) -> float:
        """A number above 0, up to `high`."""
        value = self._spec.options.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= high:
            raise self.wrong(f"needs '{name}', a number above 0 and up to {high:g}")
        return value

    def texts(self, name: str, least: int, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """At least `least` texts, no two alike."""
        value = self._spec.options.get(name, default)
        texts = tuple(value) if isinstance(value, list | tuple) else ()
        if len(texts) < least or not all(isinstance(text, str) and text for text in texts):
            raise self.wrong(f"needs '{name}', a list of {least} or more texts")
        if len(set(texts)) < len(texts):
            raise self.wrong(f"names a text twice in '{name}'")
        return texts
