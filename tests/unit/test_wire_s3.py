"""S3's bytes: listings, copies and deletes as they go out and come in, and what each error asks for."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qsl, quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstage.domain.plan import SyncOptions
from downstage.domain.refs import SourceBucket, TargetBucket
from downstage.ports import ObjectFacts
from downstage.wire import s3, s3_listing, xml_text
from downstage.wire.s3 import Fault

SOURCE, TARGET = SourceBucket("111111111111", "from"), TargetBucket("222222222222", "to")
ITEM = ObjectFacts("a b/ü+%41.pdf", '"e"', 3, 0.0, "STANDARD_IA")
AWKWARD = [
    "./z",
    "x/../y",
    "a//b",
    "folder/",
    "plus+sign",
    "per%41cent",
    "new\nline",
    "trailing ",
    "é",
    "e\u0301",
    "q?x=1#y",
]


def listing(*entries: str, truncated: str = "false", encoded: bool = True) -> bytes:
    kind = "<EncodingType>url</EncodingType>" if encoded else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>b</Name>{kind}<IsTruncated>{truncated}</IsTruncated>{''.join(entries)}</ListBucketResult>"
    ).encode()


def contents(key: str, *more: str, etag: str = "&quot;" + "a" * 32 + "&quot;", size: int = 3) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2027-01-15T08:00:00.000Z</LastModified><ETag>{etag}</ETag>"
        f"<Size>{size}</Size>{''.join(more)}</Contents>"
    )


# -- listings


def test_a_page_becomes_facts() -> None:
    archived = "<StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    restored = "<RestoreExpiryDate>2027-02-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
    page = s3_listing.parse_list(
        listing(
            contents("a%20b+c%2Bd", "<StorageClass>STANDARD</StorageClass>"),
            contents("e", archived, "</RestoreStatus>", etag="&quot;x-2&quot;"),
            contents("f", archived, restored),
            truncated="true",
        )
    )
    etag = f'"{"a" * 32}"'
    assert page.entries == [
        ObjectFacts("a b c+d", etag, 3, 1800000000.0),
        ObjectFacts("e", '"x-2"', 3, 1800000000.0, "GLACIER"),
        ObjectFacts("f", etag, 3, 1800000000.0, "GLACIER", restored=True),
    ]
    assert page.more


def test_elements_in_another_order_are_read_all_the_same() -> None:
    odd = (
        "<Contents><ETag>&#34;e&#34;</ETag><Size>7</Size><Owner><ID>1</ID></Owner><Key>k</Key>"
        "<LastModified>2027-01-15T08:00:00Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
    )
    page = s3_listing.parse_list(listing(contents("a"), odd))
    assert page.entries[1] == ObjectFacts("k", '"e"', 7, 1800000000.0)


def test_keys_that_are_not_url_encoded_are_read_as_xml() -> None:
    page = s3_listing.parse_list(listing(contents("a &amp; b+c%41&#xD;"), encoded=False))
    assert page.entries[0].key == "a & b+c%41\r"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Error><Code>InternalError</Code></Error>",
        listing(contents("a"))[:-5],
        listing(contents("a")).replace(b"<IsTruncated>false</IsTruncated>", b""),
        listing("<Contents><Key>a</Key></Contents>"),
        listing("<Contents><Key>a</Key>"),
        listing(truncated="true"),
        listing(contents("%FF")),
        listing(contents("a"), contents("b")).replace(b"<Size>3</Size>", b"<Size>x</Size>", 1),
    ],
)
def test_a_listing_that_is_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        s3_listing.parse_list(body)
    assert "InternalError" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_key_comes_back_from_a_listing_as_it_is(key: str) -> None:
    assert s3_listing.parse_list(listing(contents(quote(key, safe="/")))).entries[0].key == key


def test_a_page_is_asked_for_after_a_key_and_with_a_prefix() -> None:
    query = s3_listing.list_query(prefix="a b/", start_after="a b/ü+", limit=7)
    assert dict(parse_qsl(query)) == {
        "list-type": "2", "encoding-type": "url", "max-keys": "7", "prefix": "a b/", "start-after": "a b/ü+",
    }  # fmt: skip
    assert query == "&".join(sorted(query.split("&")))
    assert "start-after" not in s3_listing.list_query(prefix="", start_after=None, limit=1)


# -- copies


def test_a_copy_names_both_owners_and_the_object_that_was_listed() -> None:
    headers = s3.CopyRequests(SOURCE, TARGET, SyncOptions()).headers(ITEM)
    assert headers == {
        "x-amz-expected-bucket-owner": "222222222222",
        "x-amz-source-expected-bucket-owner": "111111111111",
        "x-amz-metadata-directive": "COPY",
        "x-amz-tagging-directive": "COPY",
        "x-amz-copy-source": "/from/a%20b/%C3%BC%2B%2541.pdf",
        "x-amz-copy-source-if-match": '"e"',
    }


def test_what_the_configuration_says_of_copies_is_sent() -> None:
    options = SyncOptions(tags="skip", storage_class="same", acl="bucket-owner-full-control", kms_key="alias/k")
    headers = s3.CopyRequests(SOURCE, TARGET, options).headers(ITEM)
    assert headers["x-amz-tagging-directive"] == "REPLACE"
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["x-amz-acl"] == "bucket-owner-full-control"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/k"
    fixed = s3.CopyRequests(SOURCE, TARGET, SyncOptions(storage_class="ONEZONE_IA")).headers(ITEM)
    assert fixed["x-amz-storage-class"] == "ONEZONE_IA"


@pytest.mark.parametrize("key", AWKWARD)
def test_a_key_stands_in_a_path_so_that_nothing_folds_it(key: str) -> None:
    path = s3.encoded_path(key)
    assert unquote(path) == key
    assert path.isascii()
    assert not set(path) & set(" +?#\n")


def test_only_a_copy_result_is_a_yes() -> None:
    yes = b'<?xml version="1.0"?>\n<CopyObjectResult xmlns="x"><ETag>&quot;e&quot;</ETag></CopyObjectResult>'
    assert s3.copied_etag(yes) == '"e"'
    assert s3.copied_etag(b"<Error><Code>SlowDown</Code></Error>") is None
    assert s3.copied_etag(b"") is None


# -- deletes


@given(st.lists(st.text(max_size=20).filter(lambda key: key != "" and s3.deletable(key)), min_size=1, max_size=5))
def test_a_delete_names_each_key_exactly(keys: list[str]) -> None:
    root = ElementTree.fromstring(s3.delete_body(keys))
    names = [element.text for element in root.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")]
    assert names == keys


def test_a_key_that_xml_cannot_hold_is_not_named_in_it() -> None:
    assert [s3.deletable(key) for key in ("a\nb", "a\x01b", "a\ufffeb")] == [True, False, False]


def test_of_a_delete_every_key_is_accounted_for() -> None:
    gone, kept = "<Deleted><Key>{}</Key></Deleted>", "<Error><Key>{}</Key><Code>{}</Code><Message>x</Message></Error>"
    body = f"<DeleteResult>{gone.format('a &amp; b')}{kept.format('c', 'AccessDenied')}</DeleteResult>".encode()
    assert s3.not_deleted(body, ["a & b", "c"]) == {"c": "AccessDenied"}
    with pytest.raises(ValueError, match="leaves out"):
        s3.not_deleted(body, ["a & b", "c", "d"])
    with pytest.raises(ValueError, match="no result"):
        s3.not_deleted(b"<Error><Code>InternalError</Code></Error>", ["a"])


def test_a_delete_has_the_checksum_that_s3_asks_for() -> None:
    headers = s3.delete_headers(TARGET, b"body")
    assert headers["content-md5"] == "hBotaJrYa9FhFEdFPCLG/A=="
    assert headers["x-amz-expected-bucket-owner"] == "222222222222"


# -- faults


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (503, "SlowDown", Fault.SLOW_DOWN),
        (503, "", Fault.SLOW_DOWN),
        (200, "SlowDown", Fault.SLOW_DOWN),
        (200, "InternalError", Fault.RETRY),
        (200, "", Fault.RETRY),
        (500, "InternalError", Fault.RETRY),
        (502, "", Fault.RETRY),
        (400, "RequestTimeout", Fault.RETRY),
        (412, "PreconditionFailed", Fault.CHANGED),
        (412, "", Fault.CHANGED),
        (404, "NoSuchKey", Fault.GONE),
        (404, "NoSuchBucket", Fault.FATAL),
        (403, "AccessDenied", Fault.DENIED),
        (403, "", Fault.DENIED),
        (403, "SignatureDoesNotMatch", Fault.FATAL),
        (403, "RequestTimeTooSkewed", Fault.SKEWED),
        (400, "ExpiredToken", Fault.EXPIRED),
        (301, "PermanentRedirect", Fault.ELSEWHERE),
        (400, "AuthorizationHeaderMalformed", Fault.ELSEWHERE),
        (400, "InvalidRequest", Fault.REFUSED),
        (403, "InvalidObjectState", Fault.REFUSED),
    ],
)
def test_what_an_error_asks_for(status: int, code: str, fault: Fault) -> None:
    body = f"<Error><Code>{code}</Code><Message>ada@court.example.org</Message></Error>".encode() if code else b""
    assert s3.classify(status, body) is fault
    assert s3.fault_code(status, body) == (code or f"HTTP {status}")


def test_what_encrypts_an_object_is_told_by_its_headers() -> None:
    assert s3.is_encrypted({"x-amz-server-side-encryption": "aws:kms"})
    assert s3.is_encrypted({"x-amz-server-side-encryption": "aws:kms:dsse"})
    assert not s3.is_encrypted({"x-amz-server-side-encryption": "AES256"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("&amp;lt;", "&lt;"),
        ("&#13;&#xA;", "\r\n"),
        ("&#128;", "\x80"),
        ("&copy;", "&copy;"),
        ("&#x1F4C4;", "\U0001f4c4"),
    ],
)
def test_xml_is_read_as_xml_and_not_as_html(written: str, read: str) -> None:
    assert xml_text.read(written) == read


@given(st.text())
def test_text_comes_back_from_xml(text: str) -> None:
    assert xml_text.read(xml_text.written(text)) == text
