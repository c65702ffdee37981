"""Runs ministack as the sandbox's AWS (`python -m downstage.sandbox.emulator`), with two deviations from AWS mended.

Why: (1) ministack deletes every expired item within a minute. DynamoDB leaves an item whose time is more than five
years past, and takes up to days over the others, so a table holds expired items and a copy must decide about them.
(2) A copy between buckets of two accounts is allowed by the bucket policy and then fails with NoSuchBucket, because
the source is looked up in the caller's account; yet that copy is what a refresh does.
Rules: everything else is ministack's own; its settings come from the environment the supervisor sets. A test says so
if a later ministack no longer has the names that are mended here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

EXPIRY_THREAD = "dynamodb-ttl-reaper"


def without_thread(start: Callable[[threading.Thread], None], name: str) -> Callable[[threading.Thread], None]:
    """A `Thread.start` that leaves out the thread called `name` and starts all others."""

    def start_unless_named(thread: threading.Thread) -> None:
        if thread.name != name:
            start(thread)

    return start_unless_named


def find_copy_sources_anywhere(s3: Any) -> None:
    """Let ministack's s3 module find the bucket and the tags of a copy's source in the account that owns them.

    Whether the caller may read it was checked before: every request, and every copy source, passes the bucket policy.
    """
    tags = s3._object_tags

    class TagsOfAllAccounts(type(tags)):  # type: ignore[misc]
        def get(self, key: Any, default: Any = None) -> Any:
            own = super().get(key)
            if own is not None:
                return own
            return self.get_scoped(s3._bucket_owner_account(key[0]), None, key, default)

    everywhere = TagsOfAllAccounts()
    everywhere.update(tags)
    s3._object_tags = everywhere

    def bucket_of_any_account(name: str) -> Any:
        return s3._buckets.get_scoped(s3._bucket_owner_account(name), None, name)

    s3._ensure_bucket = bucket_of_any_account


def main() -> None:
    """Serve until SIGTERM."""
    threading.Thread.start = without_thread(threading.Thread.start, EXPIRY_THREAD)  # type: ignore[assignment,method-assign]
    from ministack import app
    from ministack.services import s3

    find_copy_sources_anywhere(s3)
    app.main()


if __name__ == "__main__":
    main()
