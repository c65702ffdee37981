"""The item of the control table in which a lease is: what stands in it, as it is read and as it is first written.

Nothing personal stands there: run ids, and the name of a host or role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from downstage.ports import Item, LastLoad

PK: Final = "lease"
"""The partition of the control table in which leases are."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The item as it was read. `last_load` is empty if nobody has loaded the environment yet."""

    run_id: str
    who: str
    place: str
    state: str
    renewed: float
    beat: int
    epoch: int
    mark: str
    last_load: LastLoad

    @classmethod
    def of(cls, item: Item) -> Seen:
        """From typed JSON."""
        text = {name: item[name]["S"] for name in ("run_id", "who", "place", "state", "mark")}
        number = {name: item[name]["N"] for name in ("beat", "epoch")}
        return cls(
            **text,
            renewed=float(item["renewed"]["N"]),
            beat=int(number["beat"]),
            epoch=int(number["epoch"]),
            last_load=last_load(item),
        )


def held_item(environment: str, run_id: str, mark: str, who: str, place: str, now: float) -> Item:
    """A lease that is held from now on, the first of its environment."""
    return {
        "pk": {"S": PK},
        "sk": {"S": environment},
        "run_id": {"S": run_id},
        "who": {"S": who},
        "place": {"S": place},
        "state": {"S": "held"},
        "renewed": {"N": f"{now:.0f}"},
        "beat": {"N": "0"},
        "epoch": {"N": "1"},
        "mark": {"S": mark},
    }


def last_load(item: Item) -> LastLoad:
    """The run that the item says was the last to load the environment, and the number of that load."""
    return LastLoad(str(item.get("loaded_by", {}).get("S", "")), int(item.get("loads", {}).get("N", "0")))
