"""Strategies: one replacement each, made from its options. `make` is the registry.

Nothing is read or imported before a strategy that needs it is made: the fake-data lists not, a hook's module not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from downstage.domain.policy import StrategySpec
from downstage.errors import ConfigError
from downstage.masking.draws import Draws
from downstage.masking.email import EmailPseudonyms
from downstage.masking.strategies import dates, identifiers, lists, numbers, people, places, text, tokens, whole
from downstage.masking.strategies.base import Strategy
from downstage.masking.strategies.email import make_email
from downstage.masking.strategies.hook import make_hook, version_of
from downstage.masking.strategies.options import Options

Maker = Callable[[Options, Draws], Strategy]

_MAKERS: Mapping[str, tuple[Maker, tuple[str, ...]]] = {
    "phone": (identifiers.make_phone, ()),
    "name": (people.make_name, ()),
    "given_name": (people.make_given_name, ()),
    "family_name": (people.make_family_name, ()),
    "address": (places.make_address, ()),
    "city": (places.make_city, ()),
    "postcode": (identifiers.make_postcode, ()),
    "ssn": (identifiers.make_ssn, ()),
    "date_shift": (dates.make_date_shift, ("days", "by")),
    "number_noise": (numbers.make_number_noise, ("percent",)),
    "text": (text.make_text, ("kinds",)),
    "redact": (lambda options, _: whole.make_redact(options), ("with",)),
    "drop": (lambda options, _: whole.Drop(), ()),
    "null": (lambda options, _: whole.Null(), ()),
    "hash": (tokens.make_hash, ("letters",)),
    "keep": (lambda options, _: whole.Keep(), ()),
    "pick": (tokens.make_pick, ("from",)),
    "template": (tokens.make_template, ("text",)),
    "hook": (make_hook, ("call", "patience")),
}
"""Each strategy but `email`: its maker and the options of its own."""

KNOWN = frozenset({"email", *_MAKERS})
"""The names of all strategies."""

_LISTS = {
    "name": ("given", "family"),
    "given_name": ("given",),
    "family_name": ("family",),
    "city": ("city",),
    "address": ("city", "street", "suffix"),
}


def make(spec: StrategySpec, draws: Draws, email: EmailPseudonyms) -> Strategy:
    """The strategy that `spec` names. Raises ConfigError, with its place in the policy file, if there is none of that
    name, an option cannot be, or a hook cannot be imported."""
    if spec.name not in KNOWN:
        place = f"{spec.place}: " if spec.place else ""
        raise ConfigError(f"{place}there is no strategy '{spec.name}'; there are {', '.join(sorted(KNOWN))}")
    if spec.name == "email":
        Options(spec, ()).domain()
        return make_email(email)
    maker, known = _MAKERS[spec.name]
    return maker(Options(spec, known), draws)


def list_versions(specs: Iterable[StrategySpec]) -> str:
    """12 hex digits over the fake-data lists that these strategies pick from; empty if they use none. Another version
    of the library with other lists makes other pseudonyms."""
    return lists.version(name for spec in specs for name in _LISTS.get(spec.name, ()))


def hook_versions(specs: Iterable[StrategySpec]) -> list[str]:
    """What tells one state of the hooks' code from another: a function's `version`, else its module's text."""
    calls = {str(spec.options.get("call", "")) for spec in specs if spec.name == "hook"}
    return [f"{call}={version_of(call)}" for call in sorted(calls)]
