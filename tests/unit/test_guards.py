"""Every refusal: that it comes, that it says in one line what, why and what to do; and that nothing else is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstage.domain.environment import Caller, Environment
from downstage.domain.plan import BucketPair, EnginePlan, ItemFlag, MaskingPlan, RefreshPlan, SearchPlan, TablePair
from downstage.domain.refs import SourceBucket, SourceDomain, SourceTable, TargetBucket, TargetDomain, TargetTable
from downstage.errors import GuardRefused, RunConflict
from downstage.planning import guards
from downstage.ports import Replica

PROD, TEST, OTHER, REGION = "111111111111", "222222222222", "333333333333", "us-east-1"

PRODUCTION = Environment("prod", PROD, REGION, protected=True)
LOWER = Environment("test", TEST, REGION)
STAGING = Environment("staging", OTHER, REGION)
ALL = (PRODUCTION, LOWER, STAGING)

TABLE = TablePair(SourceTable(PROD, REGION, "prod-alpha"), TargetTable(TEST, REGION, "test-alpha"))
BUCKET = BucketPair(SourceBucket(PROD, "docs-prod"), TargetBucket(TEST, "docs-test"), delete=True)
SEARCH = SearchPlan(TargetDomain(TEST, REGION, "s-test"), SourceDomain(PROD, REGION, "s-prod"), "{pk}", ())
PLAN = RefreshPlan(
    source=PRODUCTION,
    target=LOWER,
    masking=MaskingPlan("env:KEY", "u-{token}@test.example.com", "test"),
    engine=EnginePlan(),
    flags=(ItemFlag(TargetTable(TEST, REGION, "flags-test"), {}, {}),),
    tables=(TABLE,),
    buckets=(BUCKET,),
    search=SEARCH,
)
UNPROTECTED = replace(PRODUCTION, protected=False)


def refused(act: Callable[[], None], *fragments: str) -> None:
    """The act is refused in one line: "refused: what: why; what to do (nothing was written)"."""
    with pytest.raises(GuardRefused) as caught:
        act()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("refused: ")
    assert line.endswith(" (nothing was written)")
    what, why, remedy = line.partition(": ")[2].partition(": ")[0], line.rpartition(": ")[2], line.rpartition("; ")[2]
    assert all(len(part) > 10 for part in (what, why, remedy))
    for fragment in fragments:
        assert fragment in line
    assert caught.value.exit_code == 3
    assert str(pickle.loads(pickle.dumps(caught.value))) == line


def moved(account: str) -> RefreshPlan:
    """The plan with everything of the target, and its environment, in another account."""
    return replace(
        PLAN,
        target=replace(LOWER, account=account),
        flags=(ItemFlag(TargetTable(account, REGION, "flags-test"), {}, {}),),
        tables=(replace(TABLE, target=replace(TABLE.target, account=account)),),
        buckets=(replace(BUCKET, target=replace(BUCKET.target, account=account)),),
        search=replace(SEARCH, target=replace(SEARCH.target, account=account)),
    )


@pytest.mark.parametrize(
    ("plan", "environments", "fragments"),
    [
        (
            replace(PLAN, target=replace(LOWER, protected=True)),
            ALL,
            ("writing to 'test'", "is protected", "name another"),
        ),
        (PLAN, (PRODUCTION,), (f"writing to account {TEST}", "does not name it", "correct environments")),
        (PLAN, (PRODUCTION, replace(LOWER, account=OTHER)), (f"writing to account {TEST}", "does not name it")),
        (PLAN, (PRODUCTION, replace(STAGING, account=TEST)), (f"writing to account {TEST}", "does not name it")),
        (
            PLAN,
            (*ALL, Environment("live", TEST, "eu-west-1", protected=True)),
            ("writing to 'test'", f"{TEST} is also that of 'live', which is protected", "an account of its own"),
        ),
        (moved(PROD), (PRODUCTION, replace(LOWER, account=PROD)), ("is also that of 'prod', which is protected",)),
        (moved(PROD), (UNPROTECTED, replace(LOWER, account=PROD)), ("is also that of 'prod', which is protected",)),
        (
            replace(PLAN, tables=(TABLE, replace(TABLE, target=TargetTable(PROD, REGION, "x")))),
            ALL,
            ("writing to 'x'", f"places it in account {PROD}, but 'test' is {TEST}", "build the plan anew"),
        ),
        (
            replace(PLAN, buckets=(replace(BUCKET, target=TargetBucket(PROD, "y")),)),
            ALL,
            ("writing to 'y'", f"in account {PROD}"),
        ),
        (
            replace(PLAN, flags=(ItemFlag(TargetTable(PROD, REGION, "f"), {}, {}),)),
            ALL,
            ("writing to 'f'", f"in account {PROD}"),
        ),
        (
            replace(PLAN, search=replace(SEARCH, target=TargetDomain(PROD, REGION, "s"))),
            ALL,
            ("writing to 's'", f"in account {PROD}"),
        ),
        (
            replace(PLAN, tables=(TablePair(SourceTable(TEST, REGION, "t"), TargetTable(TEST, REGION, "t")),)),
            ALL,
            ("copying to table 't'", f"a source table in the same account {TEST}", "name another target table"),
        ),
        (
            replace(PLAN, tables=(TablePair(SourceTable(TEST, "us-west-1", "t"), TargetTable(TEST, REGION, "t")),)),
            ALL,
            ("copying to table 't'", "source table"),
        ),
        (
            replace(
                PLAN,
                tables=(
                    TablePair(SourceTable(TEST, REGION, "a"), TargetTable(TEST, REGION, "b")),
                    TablePair(SourceTable(TEST, REGION, "c"), TargetTable(TEST, REGION, "a")),
                ),
            ),
            ALL,
            ("copying to table 'a'", "source table"),
        ),
        (
            replace(PLAN, buckets=(replace(BUCKET, target=TargetBucket(TEST, "docs-prod")),)),
            ALL,
            ("syncing to bucket 'docs-prod'", "bucket names are global", "name another target bucket"),
        ),
        (
            replace(PLAN, search=replace(SEARCH, source=SourceDomain(TEST, REGION, "s-test"))),
            ALL,
            ("filling search domain 's-test'", f"the source domain in the same account {TEST}", "name another"),
        ),
    ],
)
def test_accounts(plan: RefreshPlan, environments: tuple[Environment, ...], fragments: tuple[str, ...]) -> None:
    refused(lambda: guards.check_accounts(plan, environments), *fragments)


@pytest.mark.parametrize(
    ("plan", "environments"),
    [
        (PLAN, ALL),
        (replace(PLAN, search=None, flags=(), tables=(), buckets=()), ALL),
        (replace(PLAN, search=replace(SEARCH, source=None)), ALL),
        (replace(PLAN, source=replace(UNPROTECTED, account=TEST)), (replace(UNPROTECTED, account=TEST), LOWER)),
    ],
)
def test_accounts_that_are_well(plan: RefreshPlan, environments: tuple[Environment, ...]) -> None:
    guards.check_accounts(plan, environments)


def test_identity() -> None:
    caller = Caller(PROD, f"arn:aws:iam::{PROD}:user/x")
    refused(
        lambda: guards.check_identity(LOWER, caller, ALL),
        f"credentials for 'test' belong to account {PROD}, which is 'prod'",
        f"its account is {TEST}",
        "correct the environment's profile, role or credentials",
    )
    refused(lambda: guards.check_identity(LOWER, caller), f"belong to account {PROD}, but its account is {TEST}")
    twins = (*ALL, replace(PRODUCTION, name="live"))
    refused(lambda: guards.check_identity(LOWER, caller, twins), "which is 'live' and 'prod'")
    guards.check_identity(LOWER, Caller(TEST, f"arn:aws:sts::{TEST}:assumed-role/x/y"), ALL)


@pytest.mark.parametrize(
    ("existing", "patterns", "flags", "sources", "fragments"),
    [
        ((), ("*",), (), (), ("wiping tables with '*'", "fewer than 3 plain characters", "narrow the pattern")),
        ((), ("",), (), (), ("fewer than 3 plain characters",)),
        ((), ("ef*",), (), (), ("wiping tables with 'ef*'", "fewer than 3")),
        ((), ("?fcms-*",), (), (), ("fewer than 3",)),
        ((), ("[a-z]fcms-*",), (), (), ("fewer than 3",)),
        ((), ("efcms-test-alpha", "*-test"), (), (), ("'*-test'", "fewer than 3")),
        ((), ("efcms-*",), ("efcms-deploy-test",), (), ("'efcms-*'", "matches 'efcms-deploy-test', which holds flags")),
        ((), ("efcms-deploy-test",), ("efcms-deploy-test",), (), ("which holds flags",)),
        (("downstage-runs",), ("dow*",), (), (), ("'dow*'", "reaches Downstage's own names ('downstage-…')")),
        ((), ("dow*",), (), (), ("reaches Downstage's own names",)),
        ((), ("downstage-runs",), (), (), ("reaches Downstage's own names",)),
        ((), ("downstage-x*",), (), (), ("reaches Downstage's own names",)),
        ((), ("efcms-*",), (), ("efcms-prod-alpha",), ("matches 'efcms-prod-alpha', which is read from",)),
    ],
)
def test_wipe(
    existing: tuple[str, ...],
    patterns: tuple[str, ...],
    flags: tuple[str, ...],
    sources: tuple[str, ...],
    fragments: tuple[str, ...],
) -> None:
    refused(
        lambda: guards.check_wipe(existing, patterns, flags_tables=flags, source_names=sources),
        "wiping tables",
        *fragments,
    )


def test_wipes_that_are_well() -> None:
    guards.check_wipe(
        ("efcms-test-alpha", "efcms-deploy-test", "downstage-runs"),
        ("efcms-test-*", "efcms-test-alpha", "abc", "down-town-*"),
        flags_tables={"efcms-deploy-test"},
        source_names={"efcms-prod-alpha"},
    )
    guards.check_wipe((), ())


@pytest.mark.parametrize(
    ("replica", "fragments"),
    [
        (
            Replica("eu-north-1", TEST),
            ("it has a replica in eu-north-1, which 'wipe.regions' does not name", "name that"),
        ),
        (Replica("us-west-1", OTHER), (f"its replica in us-west-1 lies in account {OTHER}, not in 'test'", "yourself")),
    ],
)
def test_a_table_with_a_copy_beyond_reach_is_not_wiped(replica: Replica, fragments: tuple[str, ...]) -> None:
    regions = (REGION, "us-west-1")
    refused(
        lambda: guards.check_replicas("test-alpha", LOWER, [Replica("us-west-1", TEST), replica], regions),
        f"wiping table 'test-alpha' in {REGION}",
        *fragments,
    )
    guards.check_replicas("test-alpha", LOWER, [Replica("us-west-1", TEST)], regions)
    guards.check_replicas("test-alpha", LOWER, [], ())


def test_wiping_domains_is_called_so() -> None:
    refused(lambda: guards.check_wipe((), ["*"], what="search domain"), "wiping search domains with '*'")


@pytest.mark.parametrize(
    ("pair", "empty", "delete", "fragments"),
    [
        (BUCKET, True, True, ("deleting from bucket 'docs-test'", "'docs-prod' is empty", "'delete: false'")),
        (BUCKET, None, True, ("deleting from bucket 'docs-test'", "'docs-prod' could not be listed")),
        (
            BucketPair(SourceBucket(PROD, "same"), TargetBucket(TEST, "same")),
            False,
            False,
            ("syncing bucket 'same'", "source and target are one bucket"),
        ),
    ],
)
def test_sync(pair: BucketPair, empty: bool | None, delete: bool, fragments: tuple[str, ...]) -> None:
    refused(lambda: guards.check_sync(pair, source_is_empty=empty, delete=delete), *fragments)


@pytest.mark.parametrize(("empty", "delete"), [(False, True), (False, False), (True, False), (None, False)])
def test_syncs_that_are_well(empty: bool | None, delete: bool) -> None:
    guards.check_sync(BUCKET, source_is_empty=empty, delete=delete)


@pytest.mark.parametrize(
    ("empty", "why"),
    [(False, "it holds items that this run did not write"), (None, "it could not be seen to be empty")],
)
def test_copy_target(empty: bool | None, why: str) -> None:
    def act() -> None:
        guards.check_copy_target(TABLE.target, empty=empty, resumes_own_run=False)

    refused(act, "copying to table 'test-alpha'", why, "wipe it first, or resume the run")
    with pytest.raises(RunConflict):
        act()


@pytest.mark.parametrize(("empty", "own"), [(True, False), (True, True), (False, True), (None, True)])
def test_copy_targets_that_are_well(empty: bool | None, own: bool) -> None:
    guards.check_copy_target(TABLE.target, empty=empty, resumes_own_run=own)


@pytest.mark.parametrize(
    ("patterns", "existing", "expected"),
    [
        (("b*", "a"), ("b2", "a", "b1", "c"), ("a", "b1", "b2")),
        (("b*", "b1"), ("b1",), ("b1",)),
        (("B*",), ("b1",), ()),
        (("b?",), ("b1", "b10"), ("b1",)),
        (("gone",), ("b1",), ()),
        ((), ("b1",), ()),
    ],
)
def test_resolve_patterns(patterns: tuple[str, ...], existing: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert guards.resolve_patterns(patterns, existing) == expected
    assert guards.resolve_patterns(iter(patterns), iter(existing)) == expected


names = st.text(alphabet="abdownstage-*?[]", min_size=1, max_size=14)


@settings(deadline=None)
@given(patterns=st.lists(names, max_size=4), existing=st.lists(names, max_size=6), flags=st.lists(names, max_size=2))
def test_what_passes_the_guard_never_reaches_flags_or_our_own(
    patterns: list[str], existing: list[str], flags: list[str]
) -> None:
    try:
        guards.check_wipe(existing, patterns, flags_tables=flags)
    except GuardRefused:
        return
    for name in guards.resolve_patterns(patterns, (*existing, *flags)):
        assert name not in flags
        assert not name.startswith(guards.OWN_PREFIX)
    assert not any(fnmatchcase("downstage-runs", pattern) for pattern in patterns)
