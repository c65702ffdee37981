"""Documents sent in batches that are bounded in number and in bytes, each until every one of them has its answer.

What is not done now (429, 5xx, no answer) is asked for again, later and later; only those documents, not the batch. A
batch that is too large for the domain is halved. `create` makes this safe: a document that was made although the answer
was lost is there already (409) when it is asked for again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from downstage.errors import AwsError, Unreachable
from downstage.ports import Made, NewDocument

Make = Callable[[Sequence[NewDocument]], Awaitable[Sequence[Made]]]
Sleep = Callable[[float], Awaitable[None]]

_SHORTEST, _LONGEST = 0.5, 30.0
_TOO_LARGE = 413
_THERE = 409


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request: how many documents, how many bytes of them; and for how many seconds it is tried without one
    document getting through."""

    documents: int = 500
    size: int = 5_000_000
    patience: float = 900.0


class Bulk:
    """Writes documents. `clock` counts seconds and never goes back."""

    def __init__(
        self, make: Make, *, sleep: Sleep, clock: Callable[[], float], jitter: Callable[[], float], limits: Limits
    ) -> None:
        self._make = make
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._limits = limits

    async def write(self, documents: Sequence[NewDocument]) -> Counter[str]:
        """Returns once each has an answer: counts of `made:INDEX`, `there:INDEX`, and `refused: REASON`.

        Raises AwsError or Unreachable if nothing gets through for too long.
        """
        counts: Counter[str] = Counter()
        for batch in batches(documents, self._limits):
            await self._write(batch, counts)
        return counts

    async def _write(self, batch: Sequence[NewDocument], counts: Counter[str]) -> None:
        left, wait = list(batch), _SHORTEST
        until = self._clock() + self._limits.patience
        while True:
            try:
                answers = await self._make(left)
            except Unreachable:
                if self._clock() >= until:
                    raise
                answers = [Made(503)] * len(left)
            if len(answers) != len(left):
                raise AwsError("the search domain did not answer for each document; resume the run")
            if len(left) > 1 and all(answer.status == _TOO_LARGE for answer in answers):
                await self._write(left[: len(left) // 2], counts)
                await self._write(left[len(left) // 2 :], counts)
                return
            again = [document for document, answer in zip(left, answers, strict=True) if _later(answer)]
            for document, answer in zip(left, answers, strict=True):
                if not _later(answer):
                    counts[_counted(document, answer)] += 1
            if not again:
                return
            if len(again) < len(left):
                wait, until = _SHORTEST, self._clock() + self._limits.patience
            elif self._clock() >= until:
                status = next(answer.status for answer in answers if _later(answer))
                raise AwsError(
                    f"the search domain has taken no document for {self._limits.patience:.0f} s (HTTP {status}): it is "
                    "overloaded or stopped; look at it, then resume the run"
                )
            left = again
            await self._sleep(wait * (0.5 + self._jitter() / 2))
            wait = min(wait * 2, _LONGEST)


def batches(documents: Sequence[NewDocument], limits: Limits) -> Iterator[list[NewDocument]]:
    """The documents in order, cut so that no batch goes over a limit; one that does so alone is a batch of its own."""
    batch: list[NewDocument] = []
    size = 0
    for document in documents:
        more = len(document.source) + len(document.document_id) + len(document.index)
        if batch and (len(batch) >= limits.documents or size + more > limits.size):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += more
    if batch:
        yield batch


def _later(answer: Made) -> bool:
    """Whether the document may be taken another time."""
    return answer.status == 429 or answer.status >= 500


def _counted(document: NewDocument, answer: Made) -> str:
    """Under what name an answer is counted."""
    if 200 <= answer.status < 300:
        return f"made:{document.index}"
    if answer.status == _THERE:
        return f"there:{document.index}"
    return f"refused: {answer.error or f'HTTP {answer.status}'}"
