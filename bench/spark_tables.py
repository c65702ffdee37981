"""The figures of `spark.py` as markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Rounds = Mapping[str, Sequence[Mapping[str, Any]]]


def _best(rounds: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(rounds, key=lambda took: float(took["seconds"]))


def _spread(values: Sequence[float], form: str) -> str:
    return f"{min(values):{form}} – {max(values):{form}}"


def local(found: Rounds) -> str:
    """The engines beside one another."""
    base = _best(found["local"])
    lines = ["DynamoDB Local, 2 workers; start-up stands apart, and is in no other column:", ""]
    lines += ["| | start-up, s | its CPU, s | copy, s | items/s | least – most | times `local` |"]
    lines[-1] += " Python's CPU, µs an item | Java's CPU, µs an item | both, times `local` |"
    lines += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for name, rounds in found.items():
        took = _best(rounds)
        items = took["items"]
        rates = [each["items"] / each["seconds"] for each in rounds]
        both = (took["python"] + took["java"]) / (base["python"] + base["java"])
        lines.append(
            f"| {name} | {took['start']:.1f} | {took['start_cpu']:.1f} | {took['seconds']:.1f} | "
            f"{items / took['seconds']:,.0f} | {_spread(rates, ',.0f')} | {base['seconds'] / took['seconds']:.2f} | "
            f"{took['python'] / items * 1e6:.0f} | {took['java'] / items * 1e6:.0f} | {both:.2f} |"
        )
    digest = base["digest"]
    lines += ["", f"The engines' digests of {base['items']:,} items are the same in every round: {digest}."]
    return "\n".join(lines) + "\n"


def executors(found: Rounds) -> str:
    """One executor and two."""
    one = _best(found["1"])
    lines = ["A standalone cluster, executors of one core, each connection of the endpoint capped:", ""]
    lines += ["| executors | items/s | least – most | times 1 | workers' CPU, µs an item | times 1 |"]
    lines[-1] += " all processes' CPU, µs an item | times 1 |"
    lines += ["|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for number, rounds in found.items():
        took = _best(rounds)
        rates = [each["items"] / each["seconds"] for each in rounds]
        workers, everything = (_us(each, "workers") for each in (took, one)), (_all(each) for each in (took, one))
        (mine, base), (mine_all, base_all) = workers, everything
        lines.append(
            f"| {number} | {took['items'] / took['seconds']:,.0f} | {_spread(rates, ',.0f')} | "
            f"{one['seconds'] / took['seconds']:.2f} | {mine:.0f} | {mine / base:.2f} | {mine_all:.0f} | "
            f"{mine_all / base_all:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _us(took: Mapping[str, Any], what: str) -> float:
    return float(took[what]) / float(took["items"]) * 1e6


def _all(took: Mapping[str, Any]) -> float:
    return _us(took, "python") + _us(took, "java")


def lanes(found: Rounds) -> str:
    """Lanes of nothing."""
    lines = ["Lanes that do nothing, after 40 that are not counted:", ""]
    lines += ["| | lanes/s | least – most | ms of a slot a lane | CPU of all processes, ms a lane |"]
    lines += ["|---|--:|--:|--:|--:|"]
    for name, rounds in found.items():
        took = _best(rounds)
        number = took["lanes"]
        rates = [each["lanes"] / each["seconds"] for each in rounds]
        lines.append(
            f"| {name} | {number / took['seconds']:,.1f} | {_spread(rates, ',.1f')} | "
            f"{took['seconds'] / number * took['slots'] * 1000:.1f} | "
            f"{(took['python'] + took['java']) / number * 1000:.1f} |"
        )
    return "\n".join(lines) + "\n"


TABLES: Mapping[str, Callable[[Rounds], str]] = {"local": local, "executors": executors, "lanes": lanes}
