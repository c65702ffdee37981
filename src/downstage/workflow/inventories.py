"""The inventory of a run's bucket pair: chosen once, sorted on this machine's disk, made anew if it is lost.

Which manifest it is stands in the intent of the step that made the bucket plans, so that whoever goes on with the run
lists the same. The sorted file is deleted when the buckets are verified; that of a run that has failed is deleted when
the next one of the same bucket makes its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from downstage.domain.events import Progress
from downstage.domain.inventory import InventoryPlan
from downstage.domain.plan import BucketPair
from downstage.errors import GuardRefused, TimeBoxReached
from downstage.ports import ExportFiles
from downstage.syncing import inventory
from downstage.syncing.inventory import InventoryPages, aged
from downstage.workflow.parts import Parts

_TELL = 100_000


@dataclass(frozen=True, slots=True)
class ListedBy:
    """The inventory that a pair's source is listed by: its manifest, how old it was when the plan was made (seconds),
    when S3 began to make it (seconds since the epoch), how many objects it names."""

    manifest: str
    etag: str
    created: float
    age: float
    objects: int

    def __str__(self) -> str:
        return f"an inventory of {self.objects:,} objects, {aged(self.age)} old when the sync was planned"


def choose(parts: Parts, pair: BucketPair) -> dict[str, Any] | None:
    """For the journal: the pair's inventory, sorted by now; None if it has none. Raises GuardRefused if there is none
    that may be used."""
    plan = pair.options.inventory
    if plan is None:
        return None
    files = _files(parts)
    found = inventory.read(files, plan, pair.source, inventory.find(files, plan, pair.source))
    age = inventory.check_age(found, plan, pair.source, parts.clock.now())
    objects = _build(parts, pair, plan, found)
    return {
        "manifest": found.key,
        "etag": found.etag,
        "created": found.manifest.created,
        "age": age,
        "objects": objects,
    }


def listed_by(entry: Mapping[str, Any] | None) -> ListedBy | None:
    """What `choose` has recorded."""
    return None if entry is None else ListedBy(**entry)


def sorted_file(parts: Parts, pair: BucketPair, listed: ListedBy | None) -> Path | None:
    """The sorted file of the pair's inventory, made anew if it is not there."""
    plan = pair.options.inventory
    if listed is None or plan is None:
        return None
    path = _path(parts, pair)
    if not path.exists():
        found = inventory.read(_files(parts), plan, pair.source, listed.manifest)
        if found.etag != listed.etag:
            raise GuardRefused(
                f"refused: the inventory of bucket '{pair.source.name}': its manifest is not the one that the sync was "
                "planned with; begin a new sync"
            )
        _build(parts, pair, plan, found)
    return path


@contextmanager
def opened(path: Path | None) -> Iterator[InventoryPages | None]:
    """The pages of a sorted file, if there is one."""
    if path is None:
        yield None
        return
    with closing(InventoryPages(path)) as pages:
        yield pages


def kept_file(parts: Parts, pair: BucketPair) -> Path | None:
    """The sorted file of this run, if it is still there."""
    if pair.options.inventory is None or parts.objects.inventories is None:
        return None
    path = _path(parts, pair)
    return path if path.exists() else None


def discard(parts: Parts, pair: BucketPair) -> None:
    """Deletes the sorted file of this run."""
    if pair.options.inventory is not None and parts.objects.inventories is not None:
        inventory.delete(_path(parts, pair))


def _build(parts: Parts, pair: BucketPair, plan: InventoryPlan, found: inventory.Inventory) -> int:
    path = _path(parts, pair)
    _sweep(parts, pair, path)
    told = 0

    def go_on(objects: int) -> None:
        nonlocal told
        if parts.objects.stop_at is not None and parts.clock.now() >= parts.objects.stop_at:
            raise TimeBoxReached(
                f"the time was up while the inventory of bucket {pair.source.name} was being read; call again to go on"
            )
        if objects - told >= _TELL:
            told = objects
            parts.emit(Progress("sync", f"{pair.source.name} (inventory)", objects, None, "objects"))

    return inventory.build(path, _files(parts), plan, pair.source, found, go_on=go_on)


def _sweep(parts: Parts, pair: BucketPair, path: Path) -> None:
    """Deletes what runs that failed have left of this bucket. A dry run may go on beside a sync: it deletes nothing of
    others, and nobody deletes its file."""
    dry = "dry-run"
    if parts.run.run_id != dry:
        for other in path.parent.glob(f"*@{pair.target.name}.sqlite*"):
            if other != path and not other.name.startswith(f"{dry}@"):
                inventory.delete(other)


def _path(parts: Parts, pair: BucketPair) -> Path:
    folder = parts.objects.inventories
    assert folder is not None
    return folder / f"{parts.run.run_id}@{pair.target.name}.sqlite"


def _files(parts: Parts) -> ExportFiles:
    if parts.export_files is None or parts.objects.inventories is None:
        raise GuardRefused("refused: inventories cannot be read here: remove 'inventory' from the bucket")
    return parts.export_files
