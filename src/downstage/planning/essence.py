"""What of a plan must be the same when a run is resumed: what it reads, what it writes, and what it is to hold then.

Everything else may be mended or moved in between: how to sign in, endpoints, paths, patience, rates, engine, workers,
what tables may differ in. The masking has a fingerprint of its own. A list of what matters, not of what does not: a new
setting changes no recorded run until somebody decides that it must.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from downstage.domain.export import ExportPlan
from downstage.domain.plan import Flag, ItemFlag, RefreshPlan, Wipe


def essence(plan: RefreshPlan) -> str:
    """A short digest of what matters."""
    text = json.dumps(_matters(plan), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _matters(plan: RefreshPlan) -> dict[str, Any]:
    return {
        "source": [plan.source.account, plan.source.region],
        "target": [plan.target.name, plan.target.account, plan.target.region],
        "flags": [_flag(flag) for flag in plan.flags],
        "wipe": None if plan.wipe is None else _wipe(plan.wipe),
        "deploy": None if plan.deploy is None else plan.deploy.kind,
        "streams": None if plan.streams is None else [list(plan.streams.functions), list(plan.streams.regions)],
        "tables": [[pair.source.name, pair.target.name, _export(pair.export)] for pair in plan.tables],
        "buckets": [[pair.source.name, pair.target.name, pair.terms] for pair in plan.buckets],
        "search": None
        if plan.search is None
        else [
            plan.search.target.name,
            None if plan.search.source is None else plan.search.source.name,
            plan.search.document_id,
            [[wanted.index, wanted.condition] for wanted in plan.search.expectations],
        ],
    }


def _wipe(wipe: Wipe) -> list[Any]:
    """Without further regions as it was before there were any: a run of then can still be resumed."""
    return [list(wipe.tables), list(wipe.domains), *([list(wipe.further)] if wipe.further else [])]


def _export(export: ExportPlan | None) -> list[Any] | None:
    return None if export is None else [export.bucket.name, export.prefix, export.arn, export.at]


def _flag(flag: Flag) -> list[Any]:
    if isinstance(flag, ItemFlag):
        return [flag.table.name, dict(flag.key), dict(flag.values)]
    return [flag.name, flag.value]
