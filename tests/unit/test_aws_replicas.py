"""Global tables deleted: against an AWS of our own that has a table's copies, takes its time and refuses as AWS does.

It knows what DynamoDB (version 2019.11.21) is known to do: a table's copies are told of in every region but in its own,
a copy is removed from another region than its own, a protected one and one that is changing are not, and none is for 24
hours after a new one was made from it. To a stand-in a replica is a table of that name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from downstage.aws.session import Session
from downstage.aws.tables import TableControl
from downstage.domain.environment import Environment
from downstage.errors import AwsError, GuardRefused
from downstage.ports import Replica

EAST, WEST, NORTH = "us-east-1", "us-west-1", "eu-north-1"
ACCOUNT, NAME = "222222222222", "app-test"
PLACE = Environment("test", ACCOUNT, EAST)


@dataclass
class Copy:
    """The table in one region. `looks` are those until it is done with what it is doing."""

    status: str = "ACTIVE"
    protected: bool = False
    looks: int = 0
    account: str = ACCOUNT
    young: bool = False


@dataclass
class Aws:
    """All regions. `calls` are those that change something: (region, what)."""

    copies: dict[str, Copy]
    calls: list[tuple[str, str]] = field(default_factory=list)
    consistency: str = "EVENTUAL"
    stuck: bool = False
    pace: int = 2
    asked: int = 0
    busy: int = 0
    """How many deletions are refused, for too much is being changed in the account."""

    def session(self, region: str = EAST) -> Session:
        place, aws = replace(PLACE, region=region), self

        class Signed:
            environment = place

            def client(self, service: str, region: str | None = None) -> Any:
                assert service == "dynamodb"
                return Client(aws, region or place.region)

        return cast("Session", Signed())

    def control(self, region: str = EAST) -> TableControl:
        return TableControl(self.session(region), sleep=lambda _seconds: None)

    def pass_time(self) -> None:
        """Each look brings what is going on nearer to its end."""
        for region, copy in list(self.copies.items()):
            if copy.status == "ACTIVE" or (self.stuck and copy.status == "DELETING"):
                continue
            copy.looks -= 1
            if copy.looks < 0 and copy.status == "DELETING":
                del self.copies[region]
            elif copy.looks < 0:
                copy.status = "ACTIVE"


class Client:
    """DynamoDB in one region."""

    def __init__(self, aws: Aws, region: str) -> None:
        self._aws = aws
        self._region = region

    def describe_table(self, **named: Any) -> dict[str, Any]:
        self._aws.asked += 1
        self._aws.pass_time()
        copy = self._mine()
        others = [
            {
                "RegionName": region,
                "ReplicaStatus": other.status,
                "ReplicaArn": f"arn:aws:dynamodb:{region}:{other.account}:table/{named['TableName']}",
            }
            for region, other in self._aws.copies.items()
            if region != self._region
        ]
        return {
            "Table": {
                "TableName": named["TableName"],
                "TableStatus": copy.status,
                "DeletionProtectionEnabled": copy.protected,
                "MultiRegionConsistency": self._aws.consistency,
                **({"Replicas": others} if others else {}),
            }
        }

    def update_table(self, **asked: Any) -> None:
        copy = self._mine()
        if copy.status != "ACTIVE":
            raise refused("ResourceInUseException")
        if "DeletionProtectionEnabled" in asked:
            self._aws.calls.append((self._region, "unprotect"))
            copy.protected, copy.status, copy.looks = asked["DeletionProtectionEnabled"], "UPDATING", self._aws.pace
            return
        (update,) = asked["ReplicaUpdates"]
        where = update["Delete"]["RegionName"]
        assert where != self._region
        self._go(where)
        self._aws.calls.append((self._region, f"remove {where}"))
        copy.status, copy.looks = "UPDATING", self._aws.pace + 1

    def delete_table(self, **_named: Any) -> None:
        assert self._mine().status == "ACTIVE"
        if self._aws.busy:
            self._aws.busy -= 1
            raise refused("LimitExceededException")
        self._go(self._region)
        self._aws.calls.append((self._region, "delete"))

    def _go(self, region: str) -> None:
        doomed = self._aws.copies[region]
        if doomed.protected:
            raise refused("ValidationException", "Resource cannot be deleted as it is currently protected")
        if doomed.young:
            raise refused(
                "ValidationException",
                "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to "
                "the table in the last 24 hours.",
            )
        if doomed.status != "ACTIVE":
            raise refused("ResourceInUseException")
        doomed.status, doomed.looks = "DELETING", self._aws.pace

    def _mine(self) -> Copy:
        if self._region not in self._aws.copies:
            raise refused("ResourceNotFoundException")
        return self._aws.copies[self._region]


def refused(code: str, message: str = "x") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "UpdateTable")


def aws(**copies: Copy) -> Aws:
    names = {"east": EAST, "west": WEST, "north": NORTH}
    return Aws({names[short]: copy for short, copy in copies.items()})


def test_replicas_go_one_after_the_other_and_then_the_table() -> None:
    there = aws(east=Copy(), west=Copy(), north=Copy())
    assert there.control().delete(NAME, [EAST, WEST, NORTH]) is True
    assert there.copies == {}
    assert there.calls == [(EAST, f"remove {NORTH}"), (EAST, f"remove {WEST}"), (EAST, "delete")]
    assert there.control(WEST).delete(NAME, [EAST, WEST, NORTH]) is False


def test_each_replicas_own_protection_is_taken_off_in_its_region() -> None:
    there = aws(east=Copy(protected=True), west=Copy(protected=True))
    assert there.control().delete(NAME, [EAST, WEST]) is True
    assert there.calls == [(WEST, "unprotect"), (EAST, f"remove {WEST}"), (EAST, "unprotect"), (EAST, "delete")]


@pytest.mark.parametrize("status", ["CREATING", "UPDATING"])
def test_a_table_and_a_replica_on_their_way_are_waited_for(status: str) -> None:
    there = aws(east=Copy("UPDATING", looks=3), west=Copy(status, looks=9, protected=True))
    assert there.control().delete(NAME, [EAST, WEST]) is True
    assert there.copies == {}


def test_a_replica_that_is_going_is_only_waited_for() -> None:
    """Whoever was killed between asking and seeing it gone asks no second time."""
    there = aws(east=Copy(), west=Copy("DELETING", looks=9))
    assert there.control().delete(NAME, [EAST, WEST]) is True
    assert there.calls == [(EAST, "delete")]


@pytest.mark.parametrize("dies_at", range(1, 40))
def test_a_delete_that_is_cut_off_anywhere_is_finished_by_the_next(dies_at: int) -> None:
    there = aws(east=Copy(protected=True), west=Copy(protected=True), north=Copy())
    looks = 0

    def pass_time(original: Callable[[], None] = there.pass_time) -> None:
        nonlocal looks
        looks += 1
        if looks == dies_at:
            raise KeyboardInterrupt
        original()

    there.pass_time = pass_time  # type: ignore[method-assign]
    try:
        there.control().delete(NAME, [EAST, WEST, NORTH])
    except KeyboardInterrupt:
        for region in (EAST, NORTH, WEST):
            there.control(region).delete(NAME, [EAST, WEST, NORTH])
    assert there.copies == {}
    done = [what for _, what in there.calls if what != "unprotect"]
    assert len(done) == len(set(done)) == 3


@pytest.mark.parametrize("young", [EAST, WEST])
def test_what_aws_refuses_for_24_hours_is_told_with_when_to_try_again(young: str) -> None:
    there = aws(east=Copy(young=young == EAST), west=Copy(young=young == WEST))
    with pytest.raises(AwsError) as caught:
        there.control().delete(NAME, [EAST, WEST])
    said = str(caught.value)
    assert f"does not delete table {NAME} in {young} yet" in said
    assert "resume the run when its newest replica is 24 hours old (at the latest 24 hours from now)" in said
    assert "\n" not in said
    assert caught.value.exit_code == 1
    there.copies[young].young = False  # a day later
    assert there.control().delete(NAME, [EAST, WEST]) is True


def test_another_refusal_of_that_code_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(_self: Client, _region: str) -> None:
        raise refused("ValidationException", "something else")

    monkeypatch.setattr(Client, "_go", other)
    with pytest.raises(AwsError, match="AWS answered ValidationException"):
        aws(east=Copy(), west=Copy()).control().delete(NAME, [EAST, WEST])


@pytest.mark.parametrize(
    ("regions", "account", "said"),
    [
        ([EAST], ACCOUNT, f"it has a replica in {WEST}, which 'wipe.regions' does not name"),
        ((), ACCOUNT, f"it has a replica in {WEST}"),
        ([EAST, WEST], "111111111111", f"its replica in {WEST} lies in account 111111111111"),
    ],
)
def test_a_replica_that_nobody_named_or_of_another_account_keeps_the_table(
    regions: list[str], account: str, said: str
) -> None:
    there = aws(east=Copy(protected=True), west=Copy(account=account))
    with pytest.raises(GuardRefused, match="nothing was written") as caught:
        there.control().delete(NAME, regions)
    assert said in str(caught.value)
    assert there.calls == []


def test_strongly_consistent_copies_are_left_to_people() -> None:
    there = aws(east=Copy(), west=Copy())
    there.consistency = "STRONG"
    for act in (lambda: there.control().replicas(NAME), lambda: there.control().delete(NAME, [EAST, WEST])):
        with pytest.raises(AwsError, match="can only be removed together; remove them yourself"):
            act()
    assert there.calls == []


def test_a_replica_that_never_goes_is_given_up() -> None:
    there = aws(east=Copy(), west=Copy("DELETING"))
    there.stuck = True
    with pytest.raises(AwsError, match=f"the replica of table {NAME} in {WEST} is not removed after 30 minutes"):
        there.control().delete(NAME, [EAST, WEST])
    assert there.asked < 500
    assert there.calls == []


def test_a_delete_that_meets_the_accounts_limit_is_asked_for_again() -> None:
    there = aws(east=Copy())
    there.busy = 3
    assert there.control().delete(NAME, [EAST]) is True
    assert there.calls == [(EAST, "delete")]
    assert there.busy == 0


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_table_that_somebody_else_deletes_meanwhile_is_gone_and_not_waited_for(at: int, protected: bool) -> None:
    there = aws(east=Copy("UPDATING", protected=protected, looks=2))

    def pass_time(original: Callable[[], None] = there.pass_time) -> None:
        original()
        if there.asked == at:
            there.copies.clear()

    there.pass_time = pass_time  # type: ignore[method-assign]
    assert there.control().delete(NAME, [EAST]) is ((EAST, "delete") in there.calls)
    assert there.asked <= at + 1


def test_replicas_are_those_in_other_regions() -> None:
    there = aws(east=Copy(), west=Copy(), north=Copy(account="333333333333"))
    assert there.control().replicas(NAME) == (Replica(NORTH, "333333333333"), Replica(WEST, ACCOUNT))
    assert aws(east=Copy()).control().replicas(NAME) == ()
    assert aws().control().replicas(NAME) == ()
