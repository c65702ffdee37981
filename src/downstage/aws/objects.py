"""The hot calls of a bucket sync over our own wire: ListObjectsV2, CopyObject, DeleteObjects, many at a time.

Everything is done with the target's credentials, and every call names the account that must own the bucket: one of the
right name in the wrong account answers 403 instead of being written. What passes by itself is tried again; SlowDown
halves what is under way. What is one object's own comes back as a value; all else is raised, without key or message.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from downstage.aws.multipart import LargeCopies
from downstage.aws.s3_endpoint import BucketEndpoint
from downstage.aws.session import Session
from downstage.copying.pacing import Backoff
from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.errors import AwsError, CredentialsError, DownstageError, NotFound, Unreachable
from downstage.ports import CopyResult, ObjectFacts, ObjectPage, Refusal
from downstage.syncing.flow import Flow
from downstage.wire import s3 as wire
from downstage.wire import s3_listing as listing
from downstage.wire.http1 import Answer
from downstage.wire.s3 import Fault

PATIENT = Backoff(first=0.1, ceiling=10.0, tries=14)
_ANSWER = 60.0
_SLOWEST_COPY = 20e6
"""Bytes a second: a large copy may take so long."""

_REFUSALS: dict[Fault, Refusal] = {
    Fault.CHANGED: "changed",
    Fault.GONE: "gone",
    Fault.DENIED: "refused",
    Fault.REFUSED: "refused",
}
Bucket = SourceBucket | TargetBucket


class S3Objects:
    """Implements `ports.ObjectTransfer`. `session` is the target's; `source_region` is where the source's bucket is
    thought to be. `connections` is how many requests may be under way."""

    def __init__(
        self,
        session: Session,
        source_region: str,
        *,
        options: SyncOptions | None = None,
        connections: int = 256,
        backoff: Backoff = PATIENT,
        largest_copy: int = wire.LARGEST_COPY,
        part_size: int | None = None,
        clock: Callable[[], float] = time.time,
        dice: random.Random | None = None,
    ) -> None:
        self._session = session
        self._name = session.environment.name
        self._source_region = source_region
        self._options = options or SyncOptions()
        self._connections = connections
        self._backoff = backoff
        self._largest_copy = largest_copy
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311
        self._flow = Flow(min(64, connections), connections)
        self._endpoints: dict[Bucket, BucketEndpoint] = {}
        self._copies: dict[tuple[SourceBucket, TargetBucket], wire.CopyRequests] = {}
        self._large = LargeCopies(session, self._options, part_size)

    def close(self) -> None:
        """Closes every connection and has multipart copies stop, which are then aborted."""
        self._large.stop()
        for endpoint in self._endpoints.values():
            endpoint.close()

    async def page(
        self, bucket: Bucket, *, prefix: str = "", start_after: str | None = None, limit: int = 1000
    ) -> ObjectPage:
        """One page of a listing. Raises NotFound, AwsError, Unreachable, CredentialsError."""
        query = listing.list_query(prefix=prefix, start_after=start_after, limit=limit)
        headers = {"x-amz-expected-bucket-owner": bucket.account, **listing.OPTIONAL_ATTRIBUTES}
        what = f"list bucket {bucket.name}"
        damaged = False
        for wait in self._waits():
            answer = await self._answered(bucket, "GET", "", query, headers, what=what)
            if answer.status != 200:
                raise self._failure(what, answer)
            try:
                return ObjectPage(*listing.parse_list(answer.body))
            except ValueError:
                damaged = True
            await asyncio.sleep(wait)
        assert damaged
        raise AwsError(f"environment {self._name}: could not {what}: what S3 answers is no whole listing")

    async def copy(self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str) -> CopyResult:
        """One object, copied by S3 itself. Raises AwsError, Unreachable, CredentialsError."""
        if to == "":  # a PUT to no key is one to the bucket
            return CopyResult(refusal="refused", code=wire.NO_KEY)
        if item.size > self._largest_copy:
            return await asyncio.to_thread(self._large.copy, source, target, item, to)
        requests = self._copies.get((source, target))
        if requests is None:
            requests = self._copies[source, target] = wire.CopyRequests(source, target, self._options)
        headers = requests.headers(item)
        what = f"copy an object from bucket {source.name} to {target.name}"
        code = "no answer"
        for wait in self._waits():
            try:
                answer = await self._once(target, "PUT", to, "", headers, within=_ANSWER + item.size / _SLOWEST_COPY)
            except Unreachable:
                await asyncio.sleep(wait)
                continue
            if answer.status == 200:
                etag = wire.copied_etag(answer.body)
                if etag is not None:
                    self._flow.answered()
                    return CopyResult(etag, encrypted=wire.is_encrypted(answer.headers))
            code = wire.fault_code(answer.status, answer.body)
            fault = wire.classify(answer.status, answer.body)
            refusal = _REFUSALS.get(fault)
            if refusal is not None:
                return CopyResult(refusal=refusal, code=code)
            if fault is Fault.SLOW_DOWN:
                self._flow.slowed()
            elif fault is not Fault.RETRY:
                raise self._failure(what, answer)
            await asyncio.sleep(wait)
        return CopyResult(refusal="busy", code=code)

    async def go_on(
        self, source: SourceBucket, target: TargetBucket, item: ObjectFacts, to: str, upload: str
    ) -> CopyResult:
        """A large copy that was left unfinished. Raises AwsError, Unreachable, CredentialsError."""
        return await asyncio.to_thread(self._large.copy, source, target, item, to, upload)

    def pause(self) -> None:
        """Has large copies leave off: their parts under way end, and no other begins."""
        self._large.pause()

    async def delete(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        """Deletes up to 1,000 objects; gives those that stayed. Raises AwsError, Unreachable, CredentialsError."""
        if not 0 < len(keys) <= wire.MOST_DELETED:
            raise ValueError(f"a delete names 1 to {wire.MOST_DELETED} keys")
        named = [key for key in keys if key != "" and wire.deletable(key)]
        failed = dict(await self._delete_together(target, named)) if named else {}
        for key in keys:
            if key == "":  # a DELETE of no key is one of the bucket
                failed[key] = wire.NO_KEY
            elif not wire.deletable(key):
                failed |= await self._delete_alone(target, key)
        return failed

    async def _delete_together(self, target: TargetBucket, keys: Sequence[str]) -> Mapping[str, str]:
        what = f"delete objects of bucket {target.name}"
        left = list(keys)
        failed: dict[str, str] = {}
        for wait in self._waits():
            body = wire.delete_body(left)
            headers = wire.delete_headers(target, body)
            answer = await self._answered(target, "POST", "", "delete=", headers, body, what=what)
            if answer.status != 200:
                raise self._failure(what, answer)
            try:
                failed = wire.not_deleted(answer.body, left)
            except ValueError:
                failed = dict.fromkeys(left, wire.fault_code(answer.status, answer.body))
            passing = {key for key, code in failed.items() if wire.passes(code)}
            if not passing:
                break
            self._flow.slowed()
            left = list(failed)
            await asyncio.sleep(wait)
        return failed

    async def _delete_alone(self, target: TargetBucket, key: str) -> dict[str, str]:
        headers = {"x-amz-expected-bucket-owner": target.account}
        answer = await self._answered(
            target, "DELETE", key, "", headers, what=f"delete an object of bucket {target.name}"
        )
        return {} if answer.status in (200, 204) else {key: wire.fault_code(answer.status, answer.body)}

    async def _answered(
        self,
        bucket: Bucket,
        method: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        what: str,
    ) -> Answer:
        """An answer that will not be another if the request is sent again. Raises Unreachable."""
        code = "no answer"
        for wait in self._waits():
            try:
                answer = await self._once(bucket, method, key, query, headers, body)
            except Unreachable:
                await asyncio.sleep(wait)
                continue
            if answer.status < 300:
                self._flow.answered()
                return answer
            fault = wire.classify(answer.status, answer.body)
            if fault not in (Fault.SLOW_DOWN, Fault.RETRY):
                return answer
            code = wire.fault_code(answer.status, answer.body)
            if fault is Fault.SLOW_DOWN:
                self._flow.slowed()
            await asyncio.sleep(wait)
        raise Unreachable(
            f"environment {self._name}: could not {what}: it did not get through after many tries ({code}); "
            "go on when S3 answers again",
            code,
        )

    async def _once(
        self,
        bucket: Bucket,
        method: str,
        key: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        within: float = _ANSWER,
    ) -> Answer:
        endpoint = self._endpoints.get(bucket)
        if endpoint is None:
            environment = self._session.environment
            region = self._source_region if isinstance(bucket, SourceBucket) else environment.region
            endpoint = self._endpoints[bucket] = BucketEndpoint(
                self._session, bucket.name, region, connections=self._connections, clock=self._clock
            )
        await self._flow.enter()
        try:
            return await endpoint.request(method, key, query, headers, body, within)
        finally:
            self._flow.leave()

    def _waits(self) -> Iterator[float]:
        return self._backoff.waits(self._dice)

    def _failure(self, what: str, answer: Answer) -> DownstageError:
        code = wire.fault_code(answer.status, answer.body)
        where = f"environment {self._name}: could not {what}"
        fault = wire.classify(answer.status, answer.body)
        if fault is Fault.EXPIRED or code in wire.BAD_CREDENTIALS:
            return CredentialsError(f"{where}: AWS does not accept the credentials ({code}); renew them")
        if fault is Fault.GONE or code == "NoSuchBucket":
            return NotFound(f"{where}: it does not exist ({code}); check the name and the region", code)
        if fault is Fault.DENIED:
            return AwsError(f"{where}: AWS denies it ({code}); allow it in the role's policy", code)
        if fault is Fault.SKEWED:
            return AwsError(f"{where}: this machine's clock is wrong ({code}); set it", code)
        if fault is Fault.ELSEWHERE:
            told = wire.region_told(answer.headers, answer.body)
            lies = f"it lies in {told}" if told else "it lies in another region"
            return AwsError(f"{where}: {lies} ({code}); correct the environment's region", code)
        return AwsError(f"{where}: AWS answered {code}", code)
