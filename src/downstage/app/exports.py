"""The reader of an export in a worker process: its list of data files, fetched once and checked, and its files."""

from __future__ import annotations

from functools import lru_cache

from downstage.aws.exports import ExportObjects
from downstage.aws.session import Session
from downstage.copying.export import ExportReader
from downstage.domain.export import ExportSource
from downstage.planning.exports import listed_files
from downstage.wire.export import DataFile


def reader_of(source: Session, export: ExportSource) -> ExportReader:
    """Reads the export's files with the credentials of whoever reads exports. Raises ExportDamaged."""
    store = _store(source)
    return ExportReader(export.bucket, _files(source, export), store)


@lru_cache(maxsize=8)
def _store(source: Session) -> ExportObjects:
    return ExportObjects(source)


@lru_cache(maxsize=8)
def _files(source: Session, export: ExportSource) -> tuple[DataFile, ...]:
    return listed_files(_store(source), export)
