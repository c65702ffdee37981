"""The report as JSON text: the same outcome always gives the same bytes, so two reports can be compared."""

from __future__ import annotations

import json

from downstage.domain.outcome import RefreshOutcome
from downstage.report.model import as_document


def render_json(outcome: RefreshOutcome) -> str:
    """The document, indented, all ASCII, in the order of the schema, ending in a newline."""
    return json.dumps(as_document(outcome), indent=2, allow_nan=False) + "\n"
