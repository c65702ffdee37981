"""The seams: one Protocol for each outside thing, as small as it can be. The docstring is the contract.

Implementations live in `aws`, `journals`, `engines`, `durable`, `ci`, `console`; the fakes that tests use live in
`testing` and must pass the same contract suites. Errors are those of `downstage.errors`; nothing here is retried
by the caller unless the docstring says so.
"""

from downstage.ports.buckets import (
    BucketFacts,
    CopyResult,
    ObjectDetails,
    ObjectFacts,
    ObjectPage,
    ObjectStore,
    ObjectTransfer,
    Refusal,
)
from downstage.ports.control import (
    Consumer,
    Document,
    FlagStore,
    Made,
    NewDocument,
    SearchDomains,
    SearchIndex,
    StreamControl,
    TableAdmin,
)
from downstage.ports.delivery import Deployer, ScheduleStore, Unattended
from downstage.ports.engines import Durable, Engine, Lane, RunQueue
from downstage.ports.exports import ExportFacts, ExportFiles, Piece, RestoreWindow, StoredFile, TableExports
from downstage.ports.items import Item, RawItem
from downstage.ports.journal import (
    Checkpoint,
    Holder,
    Journal,
    LastLoad,
    Lease,
    Recorded,
    RunRecord,
    Sealer,
    StepRecord,
)
from downstage.ports.notices import Notifier
from downstage.ports.preflight import BucketKeys, DiskFacts, KeyProbe, KeyUse, Permissions
from downstage.ports.surroundings import Clock, EventSink, Identity, KeySource
from downstage.ports.tables import (
    Capacity,
    IndexFacts,
    ItemGetter,
    ItemMender,
    ItemReader,
    ItemWriter,
    Page,
    Rejected,
    Replica,
    TableFacts,
)

__all__ = [
    "BucketFacts",
    "BucketKeys",
    "Capacity",
    "Checkpoint",
    "Clock",
    "Consumer",
    "CopyResult",
    "Deployer",
    "DiskFacts",
    "Document",
    "Durable",
    "Engine",
    "EventSink",
    "ExportFacts",
    "ExportFiles",
    "FlagStore",
    "Holder",
    "Identity",
    "IndexFacts",
    "Item",
    "ItemGetter",
    "ItemMender",
    "ItemReader",
    "ItemWriter",
    "Journal",
    "KeyProbe",
    "KeySource",
    "KeyUse",
    "Lane",
    "LastLoad",
    "Lease",
    "Made",
    "NewDocument",
    "Notifier",
    "ObjectDetails",
    "ObjectFacts",
    "ObjectPage",
    "ObjectStore",
    "ObjectTransfer",
    "Page",
    "Permissions",
    "Piece",
    "RawItem",
    "Recorded",
    "Refusal",
    "Rejected",
    "Replica",
    "RestoreWindow",
    "RunQueue",
    "RunRecord",
    "ScheduleStore",
    "Sealer",
    "SearchDomains",
    "SearchIndex",
    "StepRecord",
    "StoredFile",
    "StreamControl",
    "TableAdmin",
    "TableExports",
    "TableFacts",
    "Unattended",
]
