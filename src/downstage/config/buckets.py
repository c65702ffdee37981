"""What `downstage.yaml` may say of a bucket to sync."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from downstage.config.model import Model, Texts
from downstage.config.values import BucketName, Duration, Text, Truth, Whole

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


class Inventory(Model):
    """List the source from an S3 Inventory (CSV) instead of its bucket: for tens of millions of objects. Nothing is
    deleted on its word."""

    bucket: BucketName = Field(description="The bucket that the inventory lies in, of the source's account.")
    prefix: Text | None = Field(
        default=None,
        description="What stands before the folders of dates: PREFIX/SOURCE-BUCKET/INVENTORY-NAME. The newest that is "
        "complete is taken.",
    )
    manifest: Text | None = Field(
        default=None, description="The key of one manifest.json, in place of 'prefix': that inventory, and no other."
    )
    max_age: Duration = Field(
        default=172800.0,
        description="An older inventory is refused, for example 36h.",
        json_schema_extra={"default": "48h"},
    )

    @model_validator(mode="after")
    def _one_is_meant(self) -> Inventory:
        if (self.prefix is None) == (self.manifest is None):
            raise ValueError("must hold either 'prefix' or 'manifest'")
        if self.prefix is not None and self.prefix.endswith("/"):
            raise ValueError("must hold a 'prefix' without '/' at its end")
        if self.manifest is not None and self.manifest.rpartition("/")[2] != "manifest.json":
            raise ValueError("must hold a 'manifest' that ends with /manifest.json")
        return self


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
    inventory: Inventory | None = Field(
        default=None,
        description="List the source from an S3 Inventory. Default: the bucket itself is listed.",
    )

    @model_validator(mode="after")
    def _deletes_are_asked(self) -> BucketPair:
        if self.inventory is not None and self.delete and self.on_personal_key == "mask":
            raise ValueError(
                "must not hold 'inventory' beside 'delete: true' and 'on_personal_key: mask': of an object that the "
                "inventory lacks, the renamed copy would be deleted; remove one of the three"
            )
        return self
