"""Whether a planned sync may begin, and what each of its ranges may delete. Pure: numbers of the plan pass in.

What a range may delete is what was planned for it and its part of what the limit still allows: together never more than
the limit (or, where it was waived, than the plan and the limit). So a source that loses objects between plan and sync
cannot take the target's with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downstage.domain.plan import BucketPair
from downstage.errors import GuardRefused

Counters = Mapping[str, int]


def check_plan(pair: BucketPair, ranges: Sequence[Counters], *, yes: bool) -> None:
    """Raises GuardRefused if the sync would hurt: an empty source, keys that hold an address, too many deletes (which
    `yes` waives)."""
    objects, held, doomed, personal = (sum(each.get(name, 0) for each in ranges) for name in _NAMES)
    source, target = pair.source.name, pair.target.name
    if pair.delete and not objects and doomed:
        raise GuardRefused(
            f"refused: deleting from bucket '{target}': the source bucket '{source}' is empty (or no object of it "
            "takes part), so every object of the target would go; check the source's name, prefix and patterns, or set "
            "'delete: false' (nothing was written)"
        )
    if personal and pair.options.on_personal_key == "fail":
        raise GuardRefused(
            f"{personal:,} object keys of bucket {source} hold e-mail addresses, which would reach {target} as they "
            "are: nothing was copied; set 'on_personal_key: mask' or 'skip' for this bucket, rename those objects, or "
            "leave them out with 'exclude'"
        )
    limit = pair.options.max_delete.of(held)
    if doomed > limit and not yes:
        raise GuardRefused(
            f"refused: deleting {doomed:,} of {held:,} objects of bucket '{target}', which is more than max_delete "
            f"allows ({limit:,}); look at them with 'downstage sync ENV --dry-run', then run "
            "'downstage sync ENV --yes', or raise max_delete in the configuration (nothing was written)"
        )


def allowances(pair: BucketPair, ranges: Sequence[Counters]) -> tuple[int, ...]:
    """How many objects each range may delete, and after them the personal keys beside the ranges."""
    planned = [each.get("delete", 0) for each in ranges]
    limit = pair.options.max_delete.of(sum(each.get("held", 0) for each in ranges))
    spare = (limit - sum(planned) if sum(planned) <= limit else limit) // (len(planned) + 1)
    return tuple(number + spare for number in (*planned, 0))


_NAMES = ("objects", "held", "delete", "personal")
