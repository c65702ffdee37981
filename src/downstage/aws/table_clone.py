"""One pair of tables: how the target differs from the source, and making it its twin as far as that may be done.

What cannot be changed in a table that is there (its keys, its local indexes) needs it made anew, which is done only if
it holds nothing. A customer key of the source that has no counterpart in the configuration is an error before anything
is touched: a table is not encrypted otherwise in silence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from downstage.aws.session import Session
from downstage.aws.table_changes import TableChanges
from downstage.aws.table_schema import has_function, read_schema, resolve_key
from downstage.aws.tables import TableControl
from downstage.domain.plan import TablePair
from downstage.domain.table_schema import Difference, Encryption, ParityTerms, TableSchema, Unknown
from downstage.errors import ConfigError, GuardRefused, NotFound
from downstage.planning.parity import demanded, differences
from downstage.planning.translation import lacks_key, translated


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both tables as they are and in what they differ. `terms` have every key by its ARN. `target` None: absent."""

    pair: TablePair
    terms: ParityTerms
    source: TableSchema
    target: TableSchema | None
    differences: tuple[Difference, ...]

    @property
    def demanded(self) -> tuple[Difference, ...]:
        """What parity demands be gone."""
        return demanded(self.differences)

    @property
    def mendable(self) -> tuple[Difference, ...]:
        """What a clone would do something about."""
        return tuple(one for one in self.demanded if one.remedy in ("create", "change", "recreate"))


class TableCloner:
    """Compares and clones. `source` only describes. `guard` raises if nothing may be written to the target."""

    def __init__(
        self,
        source: Session,
        target: Session,
        *,
        guard: Callable[[], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._target = target
        self._guard = guard
        self._control = TableControl(target, sleep=sleep)
        self._changes = TableChanges(target, guard=guard, sleep=sleep)

    def compare(self, pair: TablePair) -> Comparison:
        """Reads both. Raises NotFound if there is no source, ConfigError if the terms name a key that is not there."""
        source = read_schema(self._source, pair.source.name)
        terms = self._resolved(pair.terms, source)
        try:
            target = read_schema(self._target, pair.target.name)
        except NotFound:
            target = None
        return Comparison(pair, terms, source, target, differences(source, target, pair.target, terms))

    def check_terms(self, found: Comparison) -> None:
        """Raises ConfigError if the configuration lacks what a clone needs: the counterpart of a customer key, or a
        function of the source that is not in the target under its name."""
        place = found.pair.target
        if lacks_key(found.source, place, found.terms) and not found.terms.accepts("encryption"):
            raise ConfigError(
                f"table {place.name}: the source is encrypted with a customer key of its own, which encrypts nothing "
                "in the target: name one of the target for it under 'parity.kms', or accept 'encryption'"
            )
        for function in self._missing_functions(found):
            raise ConfigError(
                f"table {place.name}: a consumer of the source has no function {function} in environment "
                f"{self._target.environment.name}: deploy it, name its other name under 'parity.functions', or accept "
                f"'consumers:{function}'"
            )

    def check(self, found: Comparison) -> None:
        """Raises if a clone could not even be begun: as `check_terms`, and GuardRefused for a table that would have to
        be made anew and holds items."""
        self.check_terms(found)
        place, anew = found.pair.target, _anew(found)
        if anew and not self._control.is_empty(place.name):
            raise GuardRefused(
                f"refused: cloning table '{place.name}': its {anew} cannot be changed, so it would have to be deleted "
                "and made anew, and it holds items; wipe it first (nothing was written to it)"
            )

    def clone(self, found: Comparison, *, ttl: bool = False, stream: str | None = None) -> Comparison:
        """Makes the target what `found` demands, and compares again. `ttl` enables the expiry too: not before a copy
        into it was verified. `stream` says that there must be one, and its view where the source has none."""
        self.check(found)
        source, terms, place, present = found.source, found.terms, found.pair.target, found.target
        if stream is not None and (present is None or present.stream is None):
            source = replace(source, stream=source.stream or stream)
            terms = replace(terms, accept=tuple(one for one in terms.accept if one != "stream"))
        wanted = translated(source, place, terms)
        if present is not None and _anew(found):
            self._guard()
            self._control.delete(place.name)
            present = None
        if present is None:
            self._changes.create(wanted, terms)
            present = read_schema(self._target, place.name)
        self._changes.mend(wanted, present, differences(source, present, place, terms), terms)
        if ttl and isinstance(wanted.ttl, str) and not terms.accepts("ttl"):
            self._guard()
            self._control.enable_ttl(place.name, wanted.ttl)
        return self.compare(found.pair)

    def _missing_functions(self, found: Comparison) -> Iterator[str]:
        """The functions that a clone would attach, and that are not there. Where we may not look, AWS will tell."""
        wanted = translated(found.source, found.pair.target, found.terms).subscriptions
        present = found.target.subscriptions if found.target is not None else ()
        if isinstance(wanted, Unknown) or isinstance(present, Unknown):
            return
        for function in {one.function for one in wanted} - {one.function for one in present}:
            if not found.terms.accepts("consumers", function) and not has_function(self._target, function):
                yield function

    def _resolved(self, terms: ParityTerms, source: TableSchema) -> ParityTerms:
        """The terms with the target's key by its ARN: DescribeTable shows ARNs, the configuration may say an alias."""
        key = source.encryption.key if isinstance(source.encryption, Encryption) else None
        if key is None or key not in terms.kms or terms.accepts("encryption"):
            return terms
        named = terms.kms[key]
        try:
            known: Mapping[str, str] = {key: resolve_key(self._target, named)}
        except NotFound:
            raise ConfigError(
                f"parity.kms names {named} for a key of the source, but environment {self._target.environment.name} "
                f"has no such key that is enabled; correct it, or make the key"
            ) from None
        return replace(terms, kms={**terms.kms, **known})


def _anew(found: Comparison) -> str:
    """In what the target cannot be changed, in words; empty if it need not be made anew."""
    return " and ".join(dict.fromkeys(one.fact.replace("_", " ") for one in found.demanded if one.remedy == "recreate"))
