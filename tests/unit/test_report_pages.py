"""Markdown and HTML: everything is in them, nothing from outside can become markup, the page needs no network."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from downstage.domain.leak_outcome import LeakOutcome, LeakPlace
from downstage.domain.outcome import StepOutcome, StepState
from downstage.report import render_html, render_markdown
from tests.unit.test_report_outcomes import ALL, DIGEST, FAILED, INCOMPLETE, PROVEN, STARTED

HOSTILE = "<script>alert(1)</script> | \" ' & `x` [a](http://x) @someone\nnext"
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """The tags in their order, checked for balance, and the text outside the style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("name", ALL)
def test_page_is_balanced_self_contained_and_scriptless(name: str) -> None:
    html = render_html(ALL[name])
    page = Page(html)
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "iframe", "form", "a"})
    assert not re.search(r"https?:|//|url\(|@import|@font-face", html)
    assert [link["href"] for link in page.named("link")] == ["data:,"]
    assert any("default-src 'none'" in (meta.get("content") or "") for meta in page.named("meta"))


@pytest.mark.parametrize("name", ALL)
def test_page_is_accessible(name: str) -> None:
    page = Page(render_html(ALL[name]))
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("h1")) == 1
    assert len(page.named("caption")) == len(page.named("table"))
    assert all(header.get("scope") in ("col", "row") for header in page.named("th"))


@pytest.mark.parametrize("name", ["proven", "incomplete", "failed"])
def test_page_carries_verdict_reason_and_statements(name: str) -> None:
    outcome = ALL[name]
    text = " ".join(Page(render_html(outcome)).text.split())
    assert outcome.result.value.upper() in text
    assert all(objection.text in text for objection in outcome.objections)
    assert "The data are pseudonymised, not anonymous" in text
    assert "1,402,106" in text


def test_digest_is_whole_in_the_page_and_in_its_title() -> None:
    html = render_html(PROVEN)
    assert html.count(f'<code class="digest" title="{DIGEST}">{DIGEST}</code>') == 4
    assert "≠" not in html
    assert "≠" in render_html(FAILED)


def test_empty_sections_are_not_shown() -> None:
    html = render_html(STARTED)
    assert not any(f"<h2>{title}" in html for title in ("Tables", "Buckets", "Search", "Masking", "Addresses"))
    assert not re.search("### (Tables|Buckets|Search|Addresses|What is proven)", render_markdown(STARTED))


def test_bars_are_in_proportion() -> None:
    steps = tuple(StepOutcome(name, StepState.DONE, seconds) for name, seconds in (("a", 10.0), ("b", 2.5), ("c", 0)))
    assert re.findall(r"width:([\d.]+)%", render_html(replace(PROVEN, steps=steps))) == ["100.0", "25.0", "0.0"]
    assert 'style="width:0.0%"' in render_html(STARTED)


def test_hostile_text_stays_text() -> None:
    place = LeakPlace(HOSTILE, HOSTILE, (HOSTILE,), HOSTILE)
    outcome = replace(
        PROVEN,
        environment=HOSTILE,
        source=HOSTILE,
        run_id=HOSTILE,
        consumers=HOSTILE,
        tables=(replace(PROVEN.tables[0], source=HOSTILE, target=HOSTILE, quarantined=1),),
        buckets=(replace(PROVEN.buckets[0], source=HOSTILE, skipped=1, skipped_reasons=((HOSTILE, 1),)),),
        leaks=LeakOutcome(scanned_items=1, found=1, places=(place,)),
        steps=(StepOutcome(HOSTILE, StepState.FAILED, 1.0, HOSTILE),),
    )
    html = render_html(outcome)
    assert "<script" not in html
    assert Page(html).open == []

    outside_code = re.sub(r"`[^`\n]*`", "", render_markdown(outcome).replace(r"\`", ""))
    assert "@someone" not in outside_code
    assert not re.search(r"(?<!\\)<script", outside_code)
    assert "](" not in outside_code.replace(r"\](", "")
    rows = [line for line in render_markdown(outcome).splitlines() if line.startswith("| `")]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [10, 9, 5, 5]


def test_markdown_of_a_failure() -> None:
    text = render_markdown(FAILED)
    assert text.startswith("## ❌ test: failed\n\n41 addresses found in the target")
    assert "| **differs** |" in text
    assert "| `cases-test` | `body.*.contact` | json › base64 | `9c1f44d02e5a` |" in text
    assert "<summary>4 steps</summary>" in text


def test_markdown_of_an_incomplete_run() -> None:
    text = render_markdown(INCOMPLETE)
    assert text.startswith("## ⚠️ test: incomplete\n\n14 items of cases-prod quarantined: not in the target.\n")
    assert "- 3 objects of docs-prod skipped.\n" in text
    assert "81.2 GB" in text
