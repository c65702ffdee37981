"""Every fault of the network and of DynamoDB, over real sockets: afterwards the target holds exactly what was written.

Each fault must have struck (the endpoint counts), so that a test that has become harmless fails. What proves the copy
is the items themselves and the digest: that of the checkpoints against one of what stands in the target.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from downstage.aws.session import Session
from downstage.copying.pacing import Backoff
from downstage.domain.environment import Environment
from downstage.errors import CredentialsError, Unreachable
from tests.faults.endpoint import PROD, TEST, Endpoint, Mischief
from tests.faults.lanes import QUICK, SOURCE, TARGET, Lane, items_of, masked, proof_of, tables_of

COUNT = 600
SEEDS = 2

FAULTS: dict[str, dict[str, float]] = {
    "throttles": {"throttle": 0.30},
    "partial batches": {"partial": 0.50},
    "server errors": {"500": 0.15, "503": 0.15},
    "answers that never come": {"lost": 0.20},
    "resets in mid-body": {"reset": 0.20},
    "truncated bodies": {"truncated": 0.10, "truncated chunks": 0.10},
    "corrupt bodies": {"corrupt": 0.20},
    "slow loris": {"slow": 0.08},
    "everything at once": {
        "throttle": 0.10, "partial": 0.10, "500": 0.05, "503": 0.05, "lost": 0.05, "reset": 0.05, "truncated": 0.05,
        "truncated chunks": 0.05, "corrupt": 0.05, "slow": 0.02,
    },
}  # fmt: skip


def proven(lane: Lane, count: int = COUNT) -> None:
    """Everything was copied once, nothing was altered, and the digest says so."""
    target = lane.endpoint.tables[TARGET]
    assert lane.done
    assert target.items == masked(list(lane.endpoint.tables[SOURCE].items.values()))
    assert (lane.counted("read"), lane.counted("written"), lane.counted("quarantined")) == (count, count, 0)
    assert lane.total == proof_of(target)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", FAULTS)
def test_a_copy_comes_through(name: str, seed: int) -> None:
    mischief = Mischief(FAULTS[name], dice=random.Random(seed))
    with Endpoint(*tables_of(COUNT), mischief=mischief).serving() as endpoint:
        lane = Lane(endpoint, within=0.5)
        lane.run()
        proven(lane)
        assert set(endpoint.fired) == set(FAULTS[name]), "a fault that was to strike did not"


@pytest.mark.parametrize("fault", ["500", "lost", "reset", "corrupt"])
def test_a_write_that_was_done_and_nobody_knows_is_done_again_without_harm(fault: str) -> None:
    mischief = Mischief({fault: 1.0}, operations=("BatchWriteItem",), at_most=12)
    with Endpoint(*tables_of(200), mischief=mischief).serving() as endpoint:
        lane = Lane(endpoint)
        lane.run()
        proven(lane, 200)
        assert endpoint.fired[fault] == 12
        assert max(endpoint.tables[TARGET].puts.values()) > 1, "none of the faults came after the effect"


@pytest.mark.parametrize("answers", [1.0, 0.0], ids=["throttled", "without an answer"])
def test_an_endpoint_that_stays_bad_ends_the_copy_and_the_next_attempt_finishes_it(
    answers: float,
) -> None:
    with Endpoint(*tables_of(COUNT)).serving() as endpoint:
        lane = Lane(endpoint, backoff=Backoff(first=0.001, ceiling=0.002, tries=3))
        count = 0

        def turn_bad(operation: str) -> None:
            nonlocal count
            count += operation == "BatchWriteItem"
            if count == 10:
                endpoint.mischief = Mischief({"throttle": answers, "lost": 1.0 - answers})

        endpoint.on_request = turn_bad
        with pytest.raises(Unreachable, match="did not get through after many tries"):
            lane.run()
        assert endpoint.fired["throttle" if answers else "lost"] >= 4
        assert not lane.done
        endpoint.on_request = lambda _operation: None
        endpoint.mischief = Mischief()
        lane.backoff = QUICK
        lane.run()
        proven(lane)


@pytest.mark.parametrize("ahead", [20 * 60.0, -20 * 60.0], ids=["slow", "fast"])
def test_a_clock_that_is_20_minutes_off_is_put_right(ahead: float) -> None:
    with Endpoint(*tables_of(200)).serving() as endpoint:
        endpoint.ahead = ahead
        lane = Lane(endpoint)
        lane.run()
        proven(lane, 200)
        most = 2 * 16  # both sides' connections may each be under way before the time is known
        assert 2 <= endpoint.fired["skewed"] <= most


def test_tokens_that_expire_on_the_way_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with Endpoint(*tables_of(COUNT)).serving() as endpoint:
        endpoint.token_lasts = 9
        lane = Lane(endpoint, sessions=_assumed(tmp_path, endpoint))
        lane.run()
        proven(lane)
        assert endpoint.fired["expired"] >= 4
        assert endpoint.requests["AssumeRole"] >= 4
        assert len(endpoint.tokens) >= 4


def test_a_token_that_nobody_renews_ends_the_copy_with_one_clear_line(tmp_path: Path) -> None:
    with Endpoint(*tables_of(200)).serving() as endpoint:
        endpoint.token_lasts = 0
        lane = Lane(endpoint)
        assert lane.sessions is None
        lane.sessions = _assumed(tmp_path, endpoint)
        with pytest.raises(CredentialsError, match="the credentials have expired; renew them") as caught:
            lane.run()
        assert "token" not in str(caught.value)
        assert not endpoint.tables[TARGET].items


def _assumed(folder: Path, endpoint: Endpoint) -> tuple[Session, Session]:
    """Both sides through a role, on the real credential chain."""
    path = folder / "credentials"
    path.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = AKIA{name.upper()}\naws_secret_access_key = secret\n"
            for name in ("prod", "test")
        )
    )
    sides = []
    for name, account in (("prod", PROD), ("test", TEST)):
        role = f"arn:aws:iam::{account}:role/downstage"
        sides.append(
            Session(
                Environment(
                    name,
                    account,
                    "us-east-1",
                    role=role,
                    profile=name,
                    credentials_file=str(path),
                    endpoint=endpoint.url,
                )
            )
        )
    return sides[0], sides[1]


# -- the source goes on living


def interrupted_after_the_writes(lane: Lane, page: int) -> None:
    """The writes of one page are done, its checkpoint is not saved, and the process is gone."""
    saves = 0
    real = lane.saved

    class Dying(dict):  # type: ignore[type-arg]
        def __setitem__(self, key: object, value: object) -> None:
            nonlocal saves
            saves += 1
            if saves == page:
                raise _Gone
            super().__setitem__(key, value)

    lane.saved = Dying(real)
    with pytest.raises(_Gone):
        lane.run()
    lane.saved = dict(lane.saved)


class _Gone(Exception):
    """The process that copied."""


def _page_in_doubt(lane: Lane) -> list[bytes]:
    """Keys of the target that were put by pages whose checkpoint nobody saved."""
    source = lane.endpoint.tables[SOURCE]
    put = lane.endpoint.tables[TARGET].puts
    by_source = {key: next(iter(masked([item]))) for key, item in source.items.items()}
    return [key for key, new in by_source.items() if put[new]]


@pytest.mark.parametrize("seed", range(3))
def test_items_updated_between_two_attempts_at_their_page_are_what_the_second_one_read(seed: int) -> None:
    with Endpoint(*tables_of(120, page_items=20)).serving() as endpoint:
        lane = Lane(endpoint, segments=1)
        interrupted_after_the_writes(lane, 1)
        written = _page_in_doubt(lane)
        assert len(written) == 20
        assert not lane.saved
        source = endpoint.tables[SOURCE]
        for key in random.Random(seed).sample(written, 5):
            source.items[key] = source.items[key] | {"amount": {"N": "7"}, "new": {"S": "who@court.example.org"}}
        lane.run()
        proven(lane, 120)


@pytest.mark.parametrize("seed", range(3))
def test_items_deleted_between_two_attempts_at_their_page_are_extra_and_the_digest_says_so(seed: int) -> None:
    with Endpoint(*tables_of(120, page_items=20)).serving() as endpoint:
        lane = Lane(endpoint, segments=1)
        interrupted_after_the_writes(lane, 1)
        source, target = endpoint.tables[SOURCE], endpoint.tables[TARGET]
        gone = random.Random(seed).sample(_page_in_doubt(lane), 3)
        extra = masked([source.items.pop(key) for key in gone])
        lane.run()
        assert lane.done
        assert lane.counted("written") == 117
        assert set(target.items) - set(masked(list(source.items.values()))) == set(extra)
        assert lane.total != proof_of(target), "the target holds rows that the copy does not answer for"
        for key in extra:  # and nothing else is wrong
            del target.items[key]
        assert lane.total == proof_of(target)


def test_items_that_change_while_writes_are_retried_are_not_mixed_up() -> None:
    mischief = Mischief({"lost": 0.3, "500": 0.3}, operations=("BatchWriteItem",))
    with Endpoint(*tables_of(300), mischief=mischief).serving() as endpoint:
        source = endpoint.tables[SOURCE]
        keys = sorted(source.items)
        dice = random.Random(5)

        def move(operation: str) -> None:
            if operation == "BatchWriteItem":
                key = dice.choice(keys)
                source.items[key] = source.items[key] | {"amount": {"N": str(dice.randrange(1000))}}

        endpoint.on_request = move
        lane = Lane(endpoint)
        lane.run()
        assert endpoint.fired["lost"]
        assert endpoint.fired["500"]
        assert (lane.counted("read"), lane.counted("written")) == (300, 300)
        assert lane.total == proof_of(endpoint.tables[TARGET]), "what was written is what stands there"


def test_the_endpoint_is_as_strict_as_the_faults_need_it() -> None:
    """A stand-in that took everything would prove nothing: poison items and doubled keys are refused by it."""
    with Endpoint(*tables_of(30)).serving() as endpoint:
        endpoint.tables[SOURCE].put([{"pk": {"S": "zz"}, "sk": {"S": "big"}, "text": {"S": "x" * (401 * 1024)}}])
        lane = Lane(endpoint)
        lane.run()
        assert [reason for _, reason in lane.quarantined] == ["the item is larger than 400 KB"]
        assert lane.counted("written") == 30
        assert lane.total == proof_of(endpoint.tables[TARGET])
        assert len(items_of(30)) == 30
