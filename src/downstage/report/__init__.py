"""The proof of a run, written down: JSON for machines, Markdown for a pull request, HTML for a person.

Pure: an outcome goes in, text comes out. Only `html` needs Jinja, so it is imported when it is asked for.
"""

from __future__ import annotations

from downstage.domain.outcome import RefreshOutcome
from downstage.report.as_json import render_json
from downstage.report.markdown import render_markdown
from downstage.report.model import as_document, schema

__all__ = ["as_document", "render_html", "render_json", "render_markdown", "schema"]


def render_html(outcome: RefreshOutcome) -> str:
    """The proof as one self-contained HTML page."""
    from downstage.report.html import render_html as render

    return render(outcome)
