"""The constants of the estimate: what was measured (and where it stands), what AWS documents, and what is assumed.

Nothing here was measured on AWS. An assumption that turns out wrong is changed here, and in docs/planning.md.
"""

from __future__ import annotations

KB, GB = 1024, 2**30

# -- DynamoDB, as AWS documents it

READ_UNIT, WRITE_UNIT = 4 * KB, 1 * KB
"""Bytes that one unit reads (strongly consistent; half a unit otherwise) and writes (each item rounded up)."""

COLD_READ, COLD_WRITE = 12_000.0, 4_000.0
"""Units a second that a new on-demand table takes at once."""

RETENTION = 24 * 3600.0
"""Seconds for which a stream keeps a record."""

PARTITION_BYTES, PARTITION_WRITES = 10 * GB, 1_000.0
"""A partition holds and takes no more; a stream has a shard for each."""

# -- measured: bench/results

MEASURED_BYTES = 1_100
"""The size of the items that were measured: a larger one costs in proportion, a smaller one no less."""

COPY_SECONDS = 32.0e-6
"""CPU of one core for one copied item: bench/results/copy.md, "ours, TLS"."""

PURE_FACTOR = 88.9 / 28.0
"""Times as much without the compiled loops: same table, "ours, pure Python" against "ours"."""

VERIFY_SECONDS = (179.1 + 4.1) * 1e-6
"""CPU of one core for one verified item: bench/results/verify.md, and "read" of copy.md (there items lie in memory)."""

PURE_VERIFY_FACTOR = 220.9 / 179.1
"""Times as much without the compiled loops: same table, "pure Python". The leak scan, most of it, has none."""

OBJECT_SECONDS = 209.0e-6
"""CPU of one core for one copied object: bench/results/s3_sync.md."""

# -- S3

PAGE = 1_000
"""Keys that one LIST gives."""

KEYS_A_SECOND = 3_500.0
"""Keys a second from one listing: users report 3,000 to 4,000 (s5cmd#497)."""

COPIES_A_PREFIX = 3_500.0
"""COPY requests a second that S3 documents for one partitioned prefix: taken for the whole bucket."""

COPY_LATENCY, COPIES_AT_ONCE = 0.1, 192
"""Assumed seconds for one CopyObject; how many a worker has under way."""

RANGE_OBJECTS, RANGES_A_WORKER = 20_000, 4
"""A bucket is cut into ranges of at least so many objects, at most so many for each worker."""

LISTINGS = 3
"""How often each bucket of a pair is listed: planned, synced, verified."""

# -- assumed

EXPORT_SECONDS = 15 * 60.0
"""What an export to S3 takes, whatever the size: published figures go from five minutes to "minutes" for 1.3 TB."""

RECORDS_A_SHARD = 500.0
"""Records a second that a consumer takes off one shard of a stream."""

GLUE_START = 60.0
"""Seconds until a Glue job runs, charged like the others."""
