"""An export's manifests and data files: read to the byte, and refused for everything that DynamoDB would not write."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import zlib
from typing import Any

import orjson
import pytest

from downstage.testing.exports import export_text, md5_text
from downstage.wire.export import (
    LONGEST_LINE,
    STRETCH,
    DataFile,
    Lines,
    Unpacking,
    items_of,
    parse_files,
    parse_summary,
    says_otherwise,
)

ARN = "arn:aws:dynamodb:us-east-1:111111111111:table/app-prod/export/01800000000000-0a1b2c3d"


def summary(**changes: Any) -> bytes:
    text = export_text(ARN, "raw", [(b"x", 3)], table_id="id-1", **changes)
    return text.objects["raw/AWSDynamoDB/01800000000000-0a1b2c3d/manifest-summary.json"]


def unpacked(content: bytes, step: int) -> tuple[bytes, Unpacking]:
    unpacking = Unpacking()
    pieces = [content[start : start + step] for start in range(0, len(content), step)]
    return b"".join(part for piece in pieces for part in unpacking.unpack(piece)), unpacking


def test_the_summary_is_read() -> None:
    read = parse_summary(summary())
    assert (read.arn, read.table_id, read.items) == (ARN, "id-1", 3)
    assert (read.format, read.kind, read.exported) == ("DYNAMODB_JSON", "FULL_EXPORT", 1_799_999_700.0)


def test_a_summary_of_before_there_were_incremental_exports_is_of_a_full_one() -> None:
    fields = orjson.loads(summary())
    del fields["exportType"], fields["tableId"]
    assert (parse_summary(orjson.dumps(fields)).kind, parse_summary(orjson.dumps(fields)).table_id) == (
        "FULL_EXPORT",
        "",
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", summary(itemCount="3"), summary(exportTime="secret")])
def test_what_is_no_summary_is_refused_without_its_text(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not the summary of an export") as caught:
        parse_summary(content)
    assert "secret" not in str(caught.value)


def test_the_list_of_files_is_read_with_hex_md5s_and_bare_etags() -> None:
    content = (
        b'{"itemCount":8,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==",'
        b'"etag":"\\"af83-1\\"","dataFileS3Key":"a/data/b.gz"}\n'
    )
    md5 = base64.b64decode("sQMSpEILNgoQmarvDFonGQ==").hex()
    assert parse_files(content) == (DataFile("a/data/b.gz", md5, "af83-1", 8),)
    assert parse_files(b"") == ()


def test_the_md5_is_that_of_the_object_as_it_lies_in_s3() -> None:
    """In the example of AWS's guide the ETag (of an upload in one part) is the MD5 of the MD5 that is listed: so the
    listed one is of the object's bytes, that is of the gzip, and not of what it unpacks to."""
    listed, etag = "sQMSpEILNgoQmarvDFonGQ==", "af83d6f217c19b8b0fff8023d8ca4716-1"
    assert hashlib.md5(base64.b64decode(listed), usedforsecurity=False).hexdigest() + "-1" == etag


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"itemCount":1,"md5Checksum":"secret","dataFileS3Key":"k"}',
        b'{"itemCount":1,"md5Checksum":"","dataFileS3Key":"k"}',
        b'{"itemCount":-1,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==","dataFileS3Key":"k"}',
        b'{"itemCount":1,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==","dataFileS3Key":"k"}\n' * 2,
        b'{"itemCount":1,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==","dataFi',
    ],
)
def test_what_is_no_list_of_files_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="data file") as caught:
        parse_files(content)
    assert "secret" not in str(caught.value)


def test_a_checksum_file_speaks_only_if_it_is_an_md5() -> None:
    digest = hashlib.md5(b"x", usedforsecurity=False).hexdigest().encode()
    for checksum in (md5_text(b"x").encode() + b"\n", digest, digest.upper(), b"", b"crc32 12", "é".encode("latin-1")):
        assert not says_otherwise(checksum, b"x")
    assert says_otherwise(md5_text(b"y").encode(), b"x")


def test_items_are_the_very_bytes_of_their_lines() -> None:
    items = [b'{"pk":{"S":"\\u00e9\\n"},"n":{"N":"1.500"}}', b'{ "pk" : {"B":"AA=="} }']
    lines = b"".join(b'{"Item":%b}\n' % item for item in items)
    assert items_of(lines) == items
    assert items_of(b'{"Item": {"a":{"S":"b"}} }') == [b'{"a":{"S":"b"}}']
    assert items_of(b"") == []


@pytest.mark.parametrize(
    "lines",
    [
        b'{"Item":{"secret":1},"Other":2}\n',
        b'{"Metadata":{},"Keys":{},"NewImage":{}}\n',
        b'{"Item":"secret"}\n',
        b'{"Item":{"secret":{"S":"x"}}',
        b"$ion_1_0 {Item:{pk:secret}}\n",
    ],
)
def test_lines_that_are_no_items_are_refused_without_their_text(lines: bytes) -> None:
    with pytest.raises(ValueError, match="holds a line that is not one") as caught:
        items_of(lines)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
def test_gzip_is_unpacked_whatever_the_pieces(step: int) -> None:
    plain = random.Random(1).randbytes(3000) * 3
    content = gzip.compress(plain[:4000]) + gzip.compress(plain[4000:])
    found, unpacking = unpacked(content, step)
    assert (found, unpacking.ended) == (plain, True)
    assert unpacking.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_no_stretch_is_larger_than_its_bound() -> None:
    bomb = gzip.compress(bytes(5 * STRETCH))
    sizes = [len(part) for part in Unpacking().unpack(bomb)]
    assert sum(sizes) == 5 * STRETCH
    assert max(sizes) <= STRETCH


def test_a_file_that_is_cut_off_has_not_ended() -> None:
    content = gzip.compress(b"abc" * 1000)
    for end in (5, len(content) // 2, len(content) - 1):
        assert not unpacked(content[:end], 10)[1].ended
    assert unpacked(b"", 10)[1].ended


def test_damage_is_seen() -> None:
    content = bytearray(gzip.compress(random.Random(2).randbytes(5000)))
    content[2000] ^= 1
    with pytest.raises(ValueError, match="is not gzip, or is damaged"):
        unpacked(bytes(content), 100)
    with pytest.raises(ValueError, match="is not gzip, or is damaged"):
        unpacked(zlib.compress(b"no gzip"), 100)


def test_lines_are_put_together_and_none_is_endless() -> None:
    lines = Lines()
    assert [lines.whole(part) for part in (b"ab", b"c\nde\nf", b"", b"g\n", b"h")] == [
        b"",
        b"abc\nde\n",
        b"",
        b"fg\n",
        b"",
    ]
    assert (lines.last(), lines.last()) == (b"h", b"")
    for _ in range(LONGEST_LINE // STRETCH):
        lines.whole(bytes(STRETCH))
    with pytest.raises(ValueError, match="longer than any item"):
        lines.whole(b"x")
