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
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import orjson
from corpus import Corpus

from downstage.masking.compile import ItemMasker
from downstage.masking.email import EmailPseudonyms
from downstage.masking.kernel import PURE
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Checkpoint, Item, Page, RawItem
from downstage.proof import digest
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


def measured(items: int, rounds: int) -> dict[str, float]:
    """What an item costs in this process, with or without the compiled loop of the digest."""
    pseudonyms = EmailPseudonyms(KEY, "test", "u-{token}@test.example.com")
    masker = ItemMasker(pseudonyms)
    found, sizes = [], []
    for seed in range(rounds + 1):  # each has new items: no memory of texts flatters us; the first warms up
        masked = [masker.mask_bytes(orjson.dumps(item)) for item in Corpus(seed).plain(items)]
        before = cpu()
        count = verified(masked, pseudonyms)
        if seed:
            found.append((cpu() - before) / count * 1e6)
            sizes.append(sum(map(len, masked)) / count)
    return {
        "compiled": digest.COMPILED,
        "bytes_an_item": round(statistics.median(sizes)),
        "microseconds_an_item": round(statistics.median(found), 1),
        "least": round(min(found), 1),
        "most": round(max(found), 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--items", type=int, default=14_400)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--one", action="store_true", help="print one row and write nothing")
    chosen = options.parse_args()
    if chosen.one:
        print(json.dumps(measured(chosen.items, chosen.rounds)))
        return
    rows = [row(chosen, {}), row(chosen, {PURE: "1"})]
    if not rows[0]["compiled"]:
        raise SystemExit("the compiled loops were not built")
    RESULTS.joinpath("verify.json").write_text(
        json.dumps({"items": chosen.items, "rounds": chosen.rounds, "rows": rows}, indent=2) + "\n", encoding="utf-8"
    )
    lines = [
        f"| {name} | {each['microseconds_an_item']} | {each['least']} – {each['most']} | "
        f"{1e6 / each['microseconds_an_item']:,.0f} |\n"
        for name, each in zip(("verify: parse, digest, leak scan", "the same, pure Python"), rows, strict=True)
    ]
    RESULTS.joinpath("verify.md").write_text(
        f"Made by `python bench/verify_loop.py`: {chosen.items:,} masked plain items of about "
        f"{rows[0]['bytes_an_item']:,} bytes, new ones each round, {chosen.rounds} rounds after one to warm up, "
        f"medians; Python {platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores; pages "
        "in memory, nothing read over a network.\n\n"
        "| | µs CPU an item | least – most | items/s a core |\n|---|--:|--:|--:|\n" + "".join(lines),
        encoding="utf-8",
    )
    print(json.dumps(rows))


def row(chosen: argparse.Namespace, environ: dict[str, str]) -> dict[str, float]:
    """The same in a process of its own, which decides about the compiled loops when it begins."""
    command = [sys.executable, __file__, "--one", "--items", str(chosen.items), "--rounds", str(chosen.rounds)]
    kept = {name: value for name, value in os.environ.items() if name != PURE}
    done = subprocess.run(command, env=kept | environ, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
