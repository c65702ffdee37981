"""What masking costs, beside what people write by hand and beside Presidio's e-mail recogniser.

Every item is seen once: a loop draws new ones, outside the clock, so that no memory of whole texts flatters us. The
addresses are drawn from 2,000 known ones and, in the dense mix, two new ones an item. Run it as README.md says.

    ours raw       JSON bytes to JSON bytes
    ours pure      the same without the compiled loops
    ours dict      typed JSON in dicts to the same
    naive walk     boto3's deserialiser, `re.sub` on every string, boto3's serialiser
    presidio       its e-mail recogniser alone, without NLP, on every string of the typed item
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pyperf  # type: ignore[import-untyped]
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from corpus import Corpus, Item

from downstage.masking.email import EmailPseudonyms
from downstage.masking.keys import MaskKey
from downstage.masking.nested import NestedMasker
from downstage.masking.raw import RawMasker
from downstage.masking.walk import AddressWalk

ITEMS = 400
FEW = 40
WARM = 1500
KILOBYTE = 1024
SIZES = (4, 16, 64, 256)
_SEED = 20240516
_NAIVE = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")

Mask = Callable[[Any], object]


def pseudonyms() -> EmailPseudonyms:
    return EmailPseudonyms(MaskKey(bytes(range(7, 71))), "test", "u-{token}@test.example.com")


def ours_dict() -> Mask:
    return AddressWalk(NestedMasker(pseudonyms().replace)).attributes


def ours_raw() -> Mask:
    nested = NestedMasker(pseudonyms().replace)
    return RawMasker(nested, AddressWalk(nested).attributes)


def ours_pure() -> Mask:
    nested = NestedMasker(pseudonyms().replace, kernel=None)
    return RawMasker(nested, AddressWalk(nested).attributes)


def naive_walk() -> Mask:
    replace = pseudonyms().replace
    read, write = TypeDeserializer().deserialize, TypeSerializer().serialize

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return _NAIVE.sub(lambda match: replace(match.group()), value)
        if isinstance(value, dict):
            return {masked(name): masked(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [masked(inner) for inner in value]
        return {masked(inner) for inner in value} if isinstance(value, set) else value

    return lambda item: {masked(name): write(masked(read(value))) for name, value in item.items()}


def presidio() -> Mask:
    from presidio_analyzer.predefined_recognizers import EmailRecognizer  # type: ignore[import-not-found]

    recognizer = EmailRecognizer()
    replace = pseudonyms().replace

    def text(value: str) -> str:
        found = recognizer.analyze(value, ["EMAIL_ADDRESS"], None)
        for result in sorted(found, key=lambda result: result.start, reverse=True):
            value = value[: result.start] + replace(value[result.start : result.end]) + value[result.end :]
        return value

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return text(value)
        if isinstance(value, dict):
            return {text(name): masked(inner) for name, inner in value.items()}
        return [masked(inner) for inner in value] if isinstance(value, list) else value

    return masked


def timed(make: Callable[[], Mask], draw: Callable[[Corpus], list[Item]], raw: bool, loops: int) -> float:
    """Seconds spent on what is drawn in `loops` draws, after a warm-up on other items."""
    corpus, mask = _warm(make, draw, raw)
    spent = 0.0
    for _ in range(loops):
        drawn = draw(corpus)
        items: list[Any] = [orjson.dumps(item) for item in drawn] if raw else drawn
        start = time.perf_counter()
        for item in items:
            mask(item)
        spent += time.perf_counter() - start
    return spent


_warmed: dict[object, tuple[Corpus, Mask]] = {}


def _warm(make: Callable[[], Mask], draw: Callable[[Corpus], list[Item]], raw: bool) -> tuple[Corpus, Mask]:
    if make not in _warmed:
        corpus, mask = Corpus(_SEED), make()
        seen = 0
        while seen < (WARM if make in (ours_raw, ours_pure, ours_dict) else FEW):
            for item in draw(corpus):
                mask(orjson.dumps(item) if raw else item)
                seen += len(orjson.dumps(item)) // KILOBYTE + 1
        _warmed[make] = corpus, mask
    return _warmed[make]


def mean_size(draw: Callable[[Corpus], list[Item]]) -> int:
    drawn = draw(Corpus(_SEED))
    return sum(len(orjson.dumps(item)) for item in drawn) // len(drawn)


def main() -> None:
    runner = pyperf.Runner(processes=5, values=2, warmups=0, loops=1)
    ways = (
        ("ours raw", ours_raw, True, ITEMS),
        ("ours pure", ours_pure, True, ITEMS),
        ("ours dict", ours_dict, False, ITEMS),
    )
    peers = (("naive walk", naive_walk, False, FEW), ("presidio", presidio, False, FEW))
    for mix in ("plain", "dense"):
        for way, make, raw, count in ways + peers:
            draw = partial(_drawn, mix, count)
            size = mean_size(partial(_drawn, mix, ITEMS))
            name = f"{mix} / {way}"
            runner.bench_time_func(name, partial(timed, make, draw, raw), inner_loops=count, metadata={"bytes": size})
    for size in SIZES:
        grown = partial(_grown, size * KILOBYTE)
        name, many, mean = f"{size} KB / ours raw", max(1, 512 // size), mean_size(grown)
        task = partial(timed, ours_raw, grown, True)
        runner.bench_time_func(name, task, inner_loops=many, metadata={"bytes": mean})


def _drawn(mix: str, count: int, corpus: Corpus) -> list[Item]:
    drawn: list[Item] = getattr(corpus, mix)(count)
    return drawn


def _grown(size: int, corpus: Corpus) -> list[Item]:
    return [corpus.grown(size) for _ in range(max(1, 512 * KILOBYTE // size))]


if __name__ == "__main__":
    main()
