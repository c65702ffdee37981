"""What `downstage.yaml` may say of a bucket to sync."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from downstage.config.model import Model, Texts
from downstage.config.values import BucketName, Text, Truth, Whole

StorageClass = Literal[
    "same",
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "REDUCED_REDUNDANCY",
]


_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")


def _short(value: Any) -> Any:
    """`10%` and `500` for the mapping that they are short for."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"objects": value, "percent": 100}
    if isinstance(value, str) and (percentage := _PERCENTAGE.fullmatch(value)):
        return {"percent": float(percentage.group(1))}
    return value


class MaxDelete(Model):
    """How many objects a sync may delete unasked: both limits hold. 10% and 500 are short for one of them."""

    objects: Annotated[Whole, Field(ge=0)] | None = Field(
        default=None, description="So many objects at most. Default: any number, within the percentage."
    )
    percent: Annotated[float, Field(ge=0, le=100, strict=False)] = Field(
        default=10, description="So many of a hundred objects that the target holds."
    )


def _also_short(schema: dict[str, Any]) -> None:
    """The JSON Schema of the mapping, or of what is short for it."""
    mapping = {"$ref": schema.pop("$ref")}
    short = [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{_PERCENTAGE.pattern}$"}]
    schema["anyOf"] = [mapping, *short]


class BucketPair(Model):
    """A bucket to sync."""

    source: BucketName = Field(alias="from", description="The bucket's name in the source environment.")
    target: BucketName = Field(alias="to", description="The bucket's name in the target environment.")
    delete: Truth = Field(default=False, description="Delete objects of the target that the source does not have.")
    max_delete: Annotated[MaxDelete, BeforeValidator(_short)] = Field(
        default=MaxDelete(),
        description="How many objects may be deleted before the sync refuses to begin: a number, a percentage of what "
        "the target holds such as 10%, or both as a mapping. '--yes' passes it once.",
        json_schema_extra=_also_short,
    )
    from_prefix: Text | None = Field(default=None, description="Only keys that begin so, for example documents/.")
    to_prefix: Text | None = Field(
        default=None,
        description="What stands in the target's keys in place of from_prefix; the same, if nothing is said. Only keys "
        "that begin so are deleted.",
    )
    include: Texts = Field(
        default=(),
        description="Shell patterns of the keys to sync, over what follows the prefix; '*' matches '/' too. "
        "Default: all.",
    )
    exclude: Texts = Field(default=(), description="Shell patterns of keys that are neither copied nor deleted.")
    compare: Literal["etag", "aws", "size"] = Field(
        default="etag",
        description="When an object is the source's. etag: same size and ETag (as aws, where ETags do not tell the "
        "content). aws: same size, and the source is not newer. size: same size.",
    )
    on_personal_key: Literal["fail", "mask", "skip"] = Field(
        default="fail",
        description="What becomes of objects whose keys hold an e-mail address. fail: the run stops before anything is "
        "written. mask: they are copied to the key with the same pseudonym as in the tables. skip: they are left out.",
    )
    tags: Literal["copy", "skip"] = Field(
        default="copy",
        description="Whether objects keep their tags. copy needs s3:GetObjectTagging and s3:PutObjectTagging.",
    )
    storage_class: StorageClass | None = Field(
        default=None,
        description="The storage class of the copies; same: the source's. Default: the bucket's own, STANDARD.",
    )
    acl: Literal["private", "bucket-owner-full-control"] | None = Field(
        default=None, description="The ACL of the copies, where the target's bucket uses ACLs. Default: none is sent."
    )
    kms_key: Text | None = Field(
        default=None, description="The key (ARN or alias) that encrypts the copies. Default: what the bucket is set to."
    )
