"""OpenSearch: the source's domain described and its indices read; the target's made, filled, read and deleted."""

from __future__ import annotations

from collections.abc import Iterable

from downstage.domain.environment import Environment
from downstage.iam.arns import all_spellings, arn
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs
from downstage.iam.regions import in_region, in_regions

READING = ("es:ESHttpGet",)
CHANGING = (
    "es:ESHttpPost",
    "es:ESHttpPut",
    "es:ESHttpDelete",
    "es:ESHttpPatch",
    "es:Delete*",
    "es:Update*",
)
"""Whatever changes a domain or its documents, as it is denied."""
WRITING = ("es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete")


def reading(needs: Needs) -> list[Statement]:
    """The source's domain, and its indices: what the target lacks afterwards is made as it is there."""
    search, place = needs.plan.search, needs.plan.source
    if search is None or search.source is None:
        return []
    domain = _domains(place, [search.source.name])
    return [
        Statement("DescribeDomain", ("es:DescribeDomain",), domain),
        Statement("ReadIndices", READING, _below(domain)),
    ]


def writing(needs: Needs) -> list[Statement]:
    """The target's domain, and those that are wiped."""
    search, wipe, place = needs.plan.search, needs.plan.wipe, needs.plan.target
    found: list[Statement] = []
    if search is not None:
        domain = _domains(place, [search.target.name])
        making = ("es:CreateDomain",) if needs.clones or wipe is not None else ()
        found += [
            Statement("UseDomain", ("es:DescribeDomain", *making), domain),
            Statement("UseIndices", WRITING, _below(domain)),
        ]
    if wipe is not None:
        found.append(Statement("ListDomains", ("es:ListDomainNames",), ("*",), in_region(*needs.plan.wiped_regions)))
    if wipe is not None and wipe.domains:
        places = in_regions(place, needs.plan.wiped_regions)
        wiped = [one for there in places for one in _domains(there, wipe.domains)]
        found += [
            Statement("WipeDomains", ("es:DescribeDomain", "es:DescribeDomainConfig", "es:DeleteDomain"), wiped),
            Statement("EmptyIndices", ("es:ESHttpGet", "es:ESHttpDelete"), _below(wiped)),
        ]
    return found


def source_domain(needs: Needs) -> list[str]:
    """The ARNs of the source's domain and of what is below it."""
    search = needs.plan.search
    if search is None or search.source is None:
        return []
    domain = _domains(needs.plan.source, [search.source.name])
    return [*domain, *_below(domain)]


def _domains(place: Environment, patterns: Iterable[str]) -> list[str]:
    return [arn(place, "es", f"domain/{name}") for name in all_spellings(patterns)]


def _below(domains: Iterable[str]) -> list[str]:
    return [f"{domain}/*" for domain in domains]
