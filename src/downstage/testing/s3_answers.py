"""The XML that the fake S3 answers with, spelled as S3 spells it: keys of a listing come percent-encoded when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

from downstage.testing.s3_objects import Kept

_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_RESTORED = (
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2030-01-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
)
_CONTROL = {chr(code): f"&#x{code:x};" for code in range(32)}


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def message(self, *, bodyless: bool = False) -> bytes:
        """Its bytes; an answer to HEAD has a length and no body."""
        headers = {"content-length": str(len(self.body)), "x-amz-request-id": "FAKE", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} .\r\n{head}\r\n".encode("latin-1") + (b"" if bodyless else self.body)


def xml(name: str, inner: str) -> Reply:
    """A 200 with one document."""
    return Reply(200, f"{_HEAD}<{name}{_NAMESPACE}>{inner}</{name}>".encode(), {"content-type": "application/xml"})


def error_reply(status: int, code: str, *, bodyless: bool = False) -> Reply:
    """An error as S3 words it. Status 200 is that of a copy that failed after its answer had begun."""
    body = (
        "" if bodyless else f"{_HEAD}<Error><Code>{code}</Code><Message>no</Message><RequestId>FAKE</RequestId></Error>"
    )
    return Reply(status, body.encode(), {"content-type": "application/xml"})


def text(value: str) -> str:
    """A value inside an element."""
    return escape(value, _CONTROL)


def moment(seconds: float) -> str:
    """A time, in milliseconds as S3 tells it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}Z"


def listing(
    entries: Sequence[tuple[str, Kept]],
    *,
    bucket: str,
    prefix: str,
    start_after: str,
    encoded: bool,
    following: str,
    restores: bool = False,
) -> Reply:
    """One page of ListObjectsV2; `following` is the token to go on with, if there is more; with `restores` it says
    which archived objects can be read."""
    spelled = (lambda key: quote_plus(key, safe="/*")) if encoded else text
    parts = [
        f"<Name>{bucket}</Name><Prefix>{spelled(prefix)}</Prefix><StartAfter>{spelled(start_after)}</StartAfter>",
        f"<KeyCount>{len(entries)}</KeyCount><MaxKeys>1000</MaxKeys>",
        "<EncodingType>url</EncodingType>" if encoded else "",
        f"<IsTruncated>{'true' if following else 'false'}</IsTruncated>",
        f"<NextContinuationToken>{text(following)}</NextContinuationToken>" if following else "",
    ]
    parts += [
        f"<Contents><Key>{spelled(key)}</Key><LastModified>{moment(kept.modified)}</LastModified>"
        f"<ETag>{escape(kept.etag, {chr(34): '&quot;'})}</ETag><Size>{len(kept.body)}</Size>"
        f"<StorageClass>{kept.storage_class}</StorageClass>{_RESTORED if restores and kept.restored else ''}</Contents>"
        for key, kept in entries
    ]
    return xml("ListBucketResult", "".join(parts))


def deleted(keys: Sequence[str], errors: Mapping[str, str], *, quiet: bool) -> Reply:
    """The answer to DeleteObjects: each key, unless quiet, and each that was not deleted with its code."""
    told = "" if quiet else "".join(f"<Deleted><Key>{text(key)}</Key></Deleted>" for key in keys)
    refused = "".join(
        f"<Error><Key>{text(key)}</Key><Code>{code}</Code><Message>no</Message></Error>" for key, code in errors.items()
    )
    return xml("DeleteResult", told + refused)


def tag_set(tags: Mapping[str, str]) -> Reply:
    """The answer to GetObjectTagging."""
    inner = "".join(f"<Tag><Key>{text(key)}</Key><Value>{text(value)}</Value></Tag>" for key, value in tags.items())
    return xml("Tagging", f"<TagSet>{inner}</TagSet>")


def caller(account: str) -> Reply:
    """The answer of STS to GetCallerIdentity."""
    inner = f"<Arn>arn:aws:iam::{account}:user/fake</Arn><UserId>{account}</UserId><Account>{account}</Account>"
    return Reply(
        200,
        f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>{inner}'
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>FAKE</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>".encode(),
        {"content-type": "text/xml"},
    )
