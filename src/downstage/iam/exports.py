"""What else lies in production's buckets: exports of its tables, started, read and deleted, and inventories, read.

Whose permissions these are the configuration says (`launcher.exports`): the launcher's, or the reading role's.
"""

from __future__ import annotations

from collections.abc import Sequence

from downstage.domain.export import FOLDER, ExportPlan, export_id
from downstage.iam import keys
from downstage.iam.arns import global_arn, literal, table_arns
from downstage.iam.buckets import owned
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region

STARTING = ("dynamodb:ExportTableToPointInTime", "dynamodb:DescribeContinuousBackups")
WRITTEN_BY_DYNAMODB = ("s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload")
DELETING = ("s3:DeleteObject", "s3:DeleteObjectVersion")


def statements(needs: Needs) -> list[Statement]:
    """Exports and inventories, as far as the plan has them."""
    return [*_exports(needs), *_inventories(needs)]


def _exports(needs: Needs) -> list[Statement]:
    place = needs.plan.source
    exported = [(pair.source.name, pair.export) for pair in needs.plan.tables if pair.export is not None]
    if not exported:
        return []
    tables = table_arns(place, dict.fromkeys(name for name, _ in exported))
    started = [export for _, export in exported if export.ours]
    deleted = [export for _, export in exported if not export.keep]
    buckets = list(dict.fromkeys(export.bucket.name for _, export in exported))
    plans = [export for _, export in exported]
    found = [Statement("LookAtExports", ("dynamodb:DescribeExport",), [f"{table}/export/*" for table in tables])]
    if started:
        starting = table_arns(place, dict.fromkeys(name for name, export in exported if export.ours))
        found += [
            Statement("StartExports", STARTING, starting),
            Statement("ListExports", ("dynamodb:ListExports",), ("*",), in_region(place.region)),
            Statement("WriteExports", WRITTEN_BY_DYNAMODB, _objects(needs, started), owned(place)),
        ]
    found += [
        Statement("ListExportBuckets", ("s3:ListBucket",), [global_arn(place, name) for name in buckets], owned(place)),
        Statement("ReadExports", ("s3:GetObject",), _objects(needs, plans), owned(place)),
    ]
    if deleted:
        held = [global_arn(place, name) for name in dict.fromkeys(export.bucket.name for export in deleted)]
        found += [
            Statement("ListExportVersions", ("s3:ListBucketVersions",), held, owned(place)),
            Statement("DeleteExports", DELETING, _objects(needs, deleted), owned(place)),
        ]
    named = [export.kms for export in plans if export.kms is not None]
    everywhere = list(dict.fromkeys(named)) if len(named) == len(plans) else ()
    using = ("kms:Decrypt", "kms:GenerateDataKey") if started else ("kms:Decrypt",)
    return [*found, *keys.through_s3("UseExportKeys", place, buckets, using, everywhere)]


def _objects(needs: Needs, exports: Sequence[ExportPlan]) -> list[str]:
    """Where the files of these exports lie. Of one that is named by its ARN the prefix is not known, but its id is."""
    found = []
    for export in exports:
        before = f"{literal(export.prefix)}/" if export.prefix else ""
        folder = f"{before}{FOLDER}/*" if export.arn is None else f"*{FOLDER}/{export_id(export.arn)}/*"
        found.append(global_arn(needs.plan.source, f"{export.bucket.name}/{folder}"))
    return list(dict.fromkeys(found))


def _inventories(needs: Needs) -> list[Statement]:
    """An inventory's list and its data files lie below one prefix; a manifest that is named need not be looked for."""
    place = needs.plan.source
    plans = [pair.options.inventory for pair in needs.plan.buckets if pair.options.inventory is not None]
    found: list[Statement] = []
    for number, plan in enumerate(dict.fromkeys(plans), 1):
        prefix = literal(plan.prefix or plan.manifest.rpartition("/")[0].rpartition("/")[0])
        if plan.prefix:
            condition = {**owned(place), "StringLike": {"s3:prefix": f"{prefix}/*"}}
            bucket = (global_arn(place, plan.bucket.name),)
            found.append(Statement(f"ListInventory{number}", ("s3:ListBucket",), bucket, condition))
        below = global_arn(place, f"{plan.bucket.name}/{prefix}/*" if prefix else f"{plan.bucket.name}/*")
        found.append(Statement(f"ReadInventory{number}", ("s3:GetObject",), (below,), owned(place)))
    if found:
        buckets = dict.fromkeys(plan.bucket.name for plan in plans)
        found += keys.through_s3("DecryptInventories", place, buckets, ("kms:Decrypt",))
    return found
