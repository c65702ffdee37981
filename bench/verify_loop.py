"""What a verified item costs the client: parsed, digested, looked through for addresses, in the product's own loop.

The items are the corpus's plain ones, masked; pages lie in memory, so that reading over the network is not in it (the
copy's bench says what that costs: "read"). One process, CPU by getrusage, medians of several rounds. What `plan` takes
for the rate of one lane comes from here and from `copy_loop.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import orjson
from corpus import Corpus

from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.kernel import KERNEL
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, Page, RawItem
from downstage.verify.compare import verify_segment
from downstage.verify.leaks import LeakScanner

KEY = MaskKey(bytes(range(7, 71)))
RESULTS = Path(__file__).parent / "results"
A_PAGE = 900


class Pages:
    """Gives pages that lie in memory."""

    def __init__(self, items: Sequence[RawItem]) -> None:
        self._pages = [items[first : first + A_PAGE] for first in range(0, len(items), A_PAGE)]

    async def pages(self, segment: int, total_segments: int, cursor: Item | None) -> AsyncGenerator[Page, None]:
        for number, items in enumerate(self._pages, 1):
            yield Page(items, {"pk": {"S": str(number)}} if number < len(self._pages) else None)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def verified(items: Sequence[RawItem], pseudonyms: EmailPseudonyms) -> int:
    """Verifies the items once; gives their number. Ends the bench if one of them is taken for a leak."""
    scanner = LeakScanner(allowed=pseudonyms.allowed, fingerprint=pseudonyms.fingerprint)
    done = asyncio.run(
        verify_segment(
            "t",
            "run/verify/t",
            Checkpoint(0, 1),
            reader=Pages(items),
            scanner=scanner,
            expectations=None,
            sealer=KeySealer(KEY),
            save=lambda checkpoint: None,
            leak=lambda place: None,
        )
    )
    if done.counters["leaks"]:
        raise SystemExit("a masked item was taken for a leak")
    return done.counters["items"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=14_400)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    pseudonyms = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com")
    masker = ItemMasker(pseudonyms)
    rounds, sizes = [], []
    for seed in range(chosen.rounds + 1):  # each has new items: no memory of texts flatters us; the first warms up
        items = [masker.mask_bytes(orjson.dumps(item)) for item in Corpus(seed).plain(chosen.items)]
        before = cpu()
        count = verified(items, pseudonyms)
        if seed:
            rounds.append((cpu() - before) / count * 1e6)
            sizes.append(sum(map(len, items)) / count)
    found = {
        "items": chosen.items,
        "rounds": chosen.rounds,
        "compiled": KERNEL is not None,
        "bytes_an_item": round(statistics.median(sizes)),
        "microseconds_an_item": round(statistics.median(rounds), 1),
        "least": round(min(rounds), 1),
        "most": round(max(rounds), 1),
    }
    RESULTS.joinpath("verify.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    RESULTS.joinpath("verify.md").write_text(
        f"Made by `python bench/verify_loop.py`: {chosen.items:,} masked plain items of about "
        f"{found['bytes_an_item']:,} bytes, new ones each round, {chosen.rounds} rounds after one to warm up, medians; "
        f"Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores; pages in memory, nothing "
        "read over a network.\n\n"
        "| | µs CPU an item | least – most | items/s a core |\n|---|--:|--:|--:|\n"
        f"| verify: parse, digest, leak scan | {found['microseconds_an_item']} | {found['least']} – {found['most']} | "
        f"{1e6 / float(str(found['microseconds_an_item'])):,.0f} |\n",
        encoding="utf-8",
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
