"""Deploys the stream consumer of the test account: a Lambda function on the streams of two tables.

Why: a refresh must hold a real consumer off and let it fill the search again.
Rules: the function's package is `indexer.py` and nothing else; the mappings start at the oldest record, in batches
that carry 20,000 records in seconds (measured: a call costs about 0.1 s, whatever it carries).
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib import resources
from typing import TYPE_CHECKING

from downstage.sandbox.layout import INDEX_OF_ENTITY, INDEXER_FUNCTION, TEST_ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

BATCH_SIZE = 500


def package() -> bytes:
    """The deployment package: a zip with indexer.py."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("indexer.py", resources.files("downstage.sandbox").joinpath("indexer.py").read_bytes())
    return archive.getvalue()


def deploy(client: LambdaClient, search_url: str, stream_arns: list[str]) -> None:
    """Create the function, and an enabled mapping for each stream."""
    client.create_function(
        FunctionName=INDEXER_FUNCTION,
        Runtime="python3.11",
        Role=f"arn:aws:iam::{TEST_ACCOUNT}:role/streams-indexer",
        Handler="indexer.handler",
        Code={"ZipFile": package()},
        Timeout=60,
        MemorySize=256,
        Environment={"Variables": {"SEARCH_URL": search_url, "INDEX_OF_ENTITY": json.dumps(INDEX_OF_ENTITY)}},
    )
    for arn in stream_arns:
        client.create_event_source_mapping(
            EventSourceArn=arn,
            FunctionName=INDEXER_FUNCTION,
            Enabled=True,
            StartingPosition="TRIM_HORIZON",
            BatchSize=BATCH_SIZE,
            BisectBatchOnFunctionError=True,
        )
