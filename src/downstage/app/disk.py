"""The disk under the state directory, looked at without making anything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from downstage.ports import DiskFacts


def look_at_disk(directory: Path) -> DiskFacts:
    """Free bytes where the directory is or would be, and whether we can write there. Raises OSError if that cannot be
    told."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return DiskFacts(str(directory), shutil.disk_usage(place).free, writable)
