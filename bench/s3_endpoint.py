"""A canned S3 endpoint that costs little, so that a benchmark measures the client: two buckets, listings made as asked.

`source` holds `--source` objects and `target` holds the same ones, none, or more, as `/reset` last said; what is copied
and deleted is kept as one bit an object, so a client that looks again finds its work done. V1 and V2 listings, HEAD,
GET, tags, CopyObject, DeleteObject(s) and GetCallerIdentity are answered; every call is counted; no signature is
looked at.

    python bench/s3_endpoint.py --source 20000          prints its URL, serves until it is killed
    GET /_/reset?source=16000&target=20000              begins anew, with the first so many objects in each
    GET /_/counts                                       calls by operation since then; what the target lacks or has
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
from bisect import bisect_left, bisect_right
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl, unquote_plus

SIZE = 4096
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CALLER = re.compile(rb"Credential=(\d{12})/")
_NUMBER = re.compile(rb"(\d{9})\.pdf")
_MODIFIED = {"source": "2025-01-01T00:00:00.000Z", "target": "2025-06-01T00:00:00.000Z"}
_HTTP_DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
_PAGE = 1000


def key_of(number: int) -> str:
    """Keys in order, a thousand to a folder, as long as those of real documents."""
    return f"documents/{number // 1000:06d}/{number:09d}.pdf"


def etag_of(number: int) -> str:
    """A plain ETag, a different one for each object."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


class Store:
    """Which objects are there: one byte an object for each bucket, and the calls."""

    def __init__(self, source: int, target: int) -> None:
        self.reset(source, target)

    def reset(self, source: int, target: int) -> None:
        """The first `source` and `target` objects are there; no call was made."""
        size = max(source, target)
        self.there = {
            name: bytearray(b"\x01" * count + b"\x00" * (size - count))
            for name, count in (("source", source), ("target", target))
        }
        self.calls: Counter[str] = Counter()
        self.wrong = 0

    def counts(self) -> bytes:
        """All that was counted, as JSON."""
        pairs = Counter(zip(self.there["source"], self.there["target"], strict=True))
        told = {"calls": dict(self.calls), "missing": pairs[1, 0], "extra": pairs[0, 1], "wrong_bucket": self.wrong}
        return json.dumps(told).encode()

    def page(self, bucket: str, after: str, prefix: str) -> tuple[list[int], bool]:
        """Up to a thousand objects after the key `after`, and whether more follow."""
        there = self.there[bucket]
        end = len(there)
        begin = bisect_right(range(end), after, key=key_of) if after else 0
        if prefix:
            begin = max(begin, bisect_left(range(end), prefix, key=key_of))
            end = bisect_left(range(end), prefix + "\U0010ffff", key=key_of)
        numbers: list[int] = []
        while len(numbers) <= _PAGE:
            number = there.find(1, begin, end)
            if number < 0:
                return numbers, False
            numbers.append(number)
            begin = number + 1
        return numbers[:_PAGE], True


class Endpoint(asyncio.Protocol):
    """One connection."""

    def __init__(self, store: Store, delay: float) -> None:
        self._store = store
        self._delay = delay
        self._transport: asyncio.Transport | None = None
        self._held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._held, 0, end + 2)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._held) < whole:
                if b"100-continue" in self._held[:end]:
                    self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            head, body = bytes(self._held[:end]), bytes(self._held[end + 4 : whole])
            del self._held[:whole]
            answer = self._answer(head, body)
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> bytes:
        store = self._store
        line = head[: head.index(b"\r\n")].decode("latin-1") if b"\r\n" in head else head.decode("latin-1")
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        bucket, _, key = path[1:].partition("/")
        if bucket == "_":
            return self._control(key, query)
        if not bucket:
            store.calls["GetCallerIdentity"] += 1
            caller = _CALLER.search(head)
            account = caller.group(1) if caller else b"222222222222"
            return response(_IDENTITY.replace(b"222222222222", account), "text/xml")
        if method == "PUT" and b"x-amz-copy-source:" in head.lower():
            store.calls["CopyObject"] += 1
            return self._copy(bucket, key, head)
        if method == "GET" and not key:
            return self._bucket(bucket, dict(parse_qsl(query, keep_blank_values=True)))
        if method == "HEAD":
            store.calls["HeadObject" if key else "HeadBucket"] += 1
            return self._head(bucket, key)
        if method == "POST":
            store.calls["DeleteObjects"] += 1
            return self._delete(bucket, [int(number) for number in _NUMBER.findall(body)])
        if method == "DELETE":
            store.calls["DeleteObject"] += 1
            self._delete(bucket, [int(number) for number in _NUMBER.findall(key.encode())])
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if method == "GET":
            store.calls["GetObjectTagging" if "tagging" in query else "GetObject"] += 1
            if "tagging" in query:
                return response(b"<Tagging><TagSet></TagSet></Tagging>")
            return response(bytes(SIZE), "application/pdf")
        store.calls[f"{method} other"] += 1
        return response(b"<Error><Code>NotImplemented</Code></Error>", status="501 Not Implemented")

    def _control(self, what: str, query: str) -> bytes:
        if what == "reset":
            wanted = {name: int(value) for name, value in parse_qsl(query)}
            self._store.reset(wanted["source"], wanted["target"])
        return response(self._store.counts(), "application/json")

    def _bucket(self, bucket: str, query: dict[str, str]) -> bytes:
        store = self._store
        for name in ("versioning", "location", "lifecycle", "ownershipControls", "versions", "object-lock", "policy"):
            if name in query:
                store.calls[f"bucket {name}"] += 1
                return response(_BUCKET_ANSWERS.get(name, b"<None/>"))
        second = query.get("list-type") == "2"
        store.calls["ListObjectsV2" if second else "ListObjects"] += 1
        after = query.get("continuation-token") or query.get("start-after") or query.get("marker") or ""
        prefix = query.get("prefix", "")
        if "delimiter" in query and prefix in ("", "documents/"):
            return response(self._folders(bucket, prefix))
        numbers, more = store.page(bucket, after, prefix)
        if "max-keys" in query and int(query["max-keys"]) < len(numbers):
            numbers, more = numbers[: int(query["max-keys"])], True
        tail = f"</ETag><Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        modified = f"</Key><LastModified>{_MODIFIED[bucket]}</LastModified><ETag>"
        entries = [f"<Contents><Key>{key_of(n)}{modified}&quot;{etag_of(n)}&quot;{tail}" for n in numbers]
        last = key_of(numbers[-1]) if numbers else ""
        following = (
            (
                "<NextContinuationToken>" + last + "</NextContinuationToken>"
                if second
                else f"<NextMarker>{last}</NextMarker>"
            )
            if more
            else ""
        )
        start = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{prefix}</Prefix><KeyCount>{len(numbers)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<EncodingType>url</EncodingType><IsTruncated>{'true' if more else 'false'}</IsTruncated>{following}"
        )
        return response((start + "".join(entries) + "</ListBucketResult>").encode())

    def _folders(self, bucket: str, prefix: str) -> bytes:
        there = self._store.there[bucket]
        if prefix:
            names = [
                f"documents/{f:06d}/"
                for f in range((len(there) + 999) // 1000)
                if 1 in there[f * 1000 : f * 1000 + 1000]
            ]
        else:
            names = ["documents/"] if 1 in there else []
        inner = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in names)
        return (
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{prefix}</Prefix><Delimiter>/</Delimiter>"
            f"<KeyCount>{len(names)}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{inner}"
            "</ListBucketResult>"
        ).encode()

    def _copy(self, bucket: str, key: str, head: bytes) -> bytes:
        if bucket != "target":
            self._store.wrong += 1
        found = _NUMBER.search(key.encode())
        assert found is not None, unquote_plus(key)
        number = int(found.group(1))
        self._store.there["target"][number] = 1
        return response(_COPIED % etag_of(number).encode())

    def _head(self, bucket: str, key: str) -> bytes:
        found = _NUMBER.search(key.encode())
        if key and (found is None or not self._store.there[bucket][int(found.group(1))]):
            return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
        etag = etag_of(int(found.group(1))) if found else ""
        return (
            f"HTTP/1.1 200 OK\r\ncontent-length: {SIZE if key else 0}\r\n"
            f'etag: "{etag}"\r\nlast-modified: {_HTTP_DATE}\r\n'
            "content-type: application/pdf\r\nx-amz-bucket-region: us-east-1\r\n\r\n"
        ).encode()

    def _delete(self, bucket: str, numbers: list[int]) -> bytes:
        if bucket != "target":
            self._store.wrong += len(numbers)
        for number in numbers:
            self._store.there["target"][number] = 0
        told = "".join(f"<Deleted><Key>{key_of(number)}</Key></Deleted>" for number in numbers)
        return response(f"<DeleteResult>{told}</DeleteResult>".encode())


def response(body: bytes, kind: str = "application/xml", status: str = "200 OK") -> bytes:
    """One HTTP answer."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


_COPIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<LastModified>2025-06-01T00:00:00.000Z</LastModified><ETag>&quot;%s&quot;</ETag></CopyObjectResult>"
)
_IDENTITY = (
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::222222222222:user/bench</Arn>"
    b"<UserId>U</UserId><Account>222222222222</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
_BUCKET_ANSWERS = {
    "versioning": b"<VersioningConfiguration/>",
    "location": b"<LocationConstraint/>",
    "versions": b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>",
}


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until it is killed."""
    store = Store(arguments.source, arguments.target)
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
    server = await asyncio.get_running_loop().create_server(
        lambda: Endpoint(store, arguments.delay / 1000), "127.0.0.1", arguments.port, ssl=context, backlog=1024
    )
    scheme = "https" if context else "http"
    print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=int, default=20_000)
    parser.add_argument("--target", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds to hold each answer back")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
