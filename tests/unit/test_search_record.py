"""How the search domain was made, over several runs: what a run that was given up has lost is brought back, what the
deployment has dropped is not; a record too large for one item is kept in pieces; an index that OpenSearch refuses to
make as it was is told of, or stops the run that needs it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from downstage.domain.outcome import Result
from downstage.domain.plan import Wipe
from downstage.errors import AwsError, JournalError
from downstage.journals.dynamodb import DynamoJournal
from downstage.masking.keys import MaskKey
from downstage.ports import Item
from downstage.testing.search import MemoryIndex
from downstage.testing.world import DOMAIN, INDEX, World
from downstage.workflow import search_record
from downstage.workflow.search_record import CAPTURE
from tests.unit.search_world import DEFINITION, detail, given, notes, up_to

ANOTHER = {**DEFINITION, "mappings": {"properties": {"filed": {"type": "keyword"}}}}


def bare(world: World) -> World:
    """The deployment makes the domain, and no index of it."""
    deploy = world.deployer.deploy

    def without_index(intent: Any) -> str:
        said = deploy(intent)
        for name in index(world).indices():
            index(world).delete(name)
        return said

    world.deployer.deploy = without_index  # type: ignore[method-assign]
    return world


def index(world: World) -> MemoryIndex:
    return world.target_domains.index(DOMAIN)


def again(world: World, run_id: str = "run-2") -> None:
    world.refresh(world.begin(run_id))
    assert world.outcome(run_id).result is Result.PROVEN


def wiping(world: World, *domains: str) -> None:
    world.plan = replace(world.plan, wipe=Wipe(("app-test*",), domains))


# ---- over several runs


def test_indices_that_a_given_up_run_has_lost_are_brought_back_though_the_domain_is_there() -> None:
    world = bare(World())
    given(world, "app-old")
    index(world).create(INDEX, DEFINITION)
    world.refresh(chosen=up_to("deploy"))
    again(world)
    assert detail(world, CAPTURE, "run-2") == f"0 indices of {DOMAIN}"
    assert index(world).definition("app-old") == DEFINITION
    assert index(world).definition(INDEX) == DEFINITION
    assert "will have OpenSearch guess" not in notes(world)


def test_several_given_up_runs_are_gone_through_and_the_newest_word_counts() -> None:
    world = bare(World())
    given(world, "app-old")
    index(world).create("app-both", DEFINITION)
    world.refresh(chosen=up_to("deploy"))
    index(world).create("app-both", ANOTHER)
    world.refresh(world.begin("run-2"), chosen=up_to("deploy"))
    again(world, "run-3")
    assert index(world).definition("app-old") == DEFINITION
    assert index(world).definition("app-both") == ANOTHER


@pytest.mark.parametrize("domains", [(), ("other-*",)])
def test_a_run_that_does_not_wipe_the_domain_brings_nothing_of_before_back(domains: tuple[str, ...]) -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("deploy"))
    wiping(world, *domains)
    again(world)
    assert index(world).indices() == [INDEX]


def test_what_a_run_saw_that_never_wiped_is_no_loss() -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to(CAPTURE))
    given(world, INDEX)  # the deployment drops it by and by
    again(world)
    assert index(world).indices() == [INDEX]


def test_what_was_dropped_after_a_run_that_made_it_again_stays_dropped() -> None:
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("deploy"))
    again(world)
    assert index(world).indices() == ["app-case", "app-old"]
    index(world).delete("app-old")
    again(world, "run-3")
    again(world, "run-4")
    assert index(world).indices() == [INDEX]


def test_a_run_that_recorded_nothing_itself_ends_the_search_too() -> None:
    """The domain was not there when it began; it made again what was lost, which has been dropped since."""
    world = World()
    given(world, "app-old")
    world.refresh(chosen=up_to("wipe"))
    again(world)
    assert detail(world, CAPTURE, "run-2").startswith("there is no search domain")
    index(world).delete("app-old")
    again(world, "run-3")
    assert index(world).indices() == [INDEX]


def test_a_domain_that_somebody_deleted_is_as_the_last_run_saw_it() -> None:
    world = World()
    given(world, "app-old")
    again(world, "run-1")
    world.target_domains.domains.pop(DOMAIN)
    again(world)
    assert index(world).definition("app-old") == DEFINITION


# ---- in pieces


class Control:
    """A control table in memory, as far as a run needs it."""

    name = "downstage-control"

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}

    def get(self, pk: str, sk: str) -> Item | None:
        return self.items.get((pk, sk))

    def query(self, pk: str, prefix: str = "") -> Iterator[Item]:
        return iter([item for (one, sk), item in sorted(self.items.items()) if one == pk and sk.startswith(prefix)])

    def create(self, item: Item) -> bool:
        return self.put_while(item, "", "", 1)

    def update(self, *_told: Any, **_named: Any) -> Item | None:
        return None

    def put_while(self, item: Item, pk: str, sk: str, epoch: int, *, only_if: str = "") -> bool:
        self.items[item["pk"]["S"], item["sk"]["S"]] = item
        return True

    def delete_while(self, item: Item, pk: str, sk: str, epoch: int) -> bool:
        raise AssertionError("nothing is forgotten here")


def many(world: World, number: int) -> Mapping[str, Any]:
    """So many indices, each of which takes some 10 KB that nothing makes smaller."""
    chance = random.Random(7)
    made = {
        f"app-{one:03}": {**DEFINITION, "settings": {"index": {"note": chance.randbytes(10_000).hex()}}, "aliases": {}}
        for one in range(number)
    }
    for name in index(world).indices():
        index(world).delete(name)
    for name, definition in made.items():
        index(world).create(name, definition)
    world.writes.clear()
    return made


def test_a_record_larger_than_an_item_of_the_control_table_is_kept_in_pieces() -> None:
    control = Control()
    world = bare(World())
    world.journal = DynamoJournal(control)
    made = many(world, 80)
    world.refresh(chosen=up_to("deploy"))
    assert detail(world, CAPTURE) == f"80 indices of {DOMAIN}"
    assert len(world.journal.checkpoints("run-1", CAPTURE)) == 80 * 10_000 // search_record.PIECE
    largest = max(len(value) for item in control.items.values() for kind in item.values() for value in kind.values())
    assert largest < 390_000  # the journal refuses more
    again(world)
    assert {name: index(world).definition(name) for name in index(world).indices() if name != INDEX} == made


def test_pieces_are_neither_lost_nor_mixed_up() -> None:
    for harm in ("lost", "moved", "key"):
        world = World()
        many(world, 80)
        world.refresh(chosen=up_to("wipe"))
        second, third = (world.journal.checkpoint("run-1", CAPTURE, number) for number in (1, 2))
        assert second is not None
        assert third is not None
        if harm == "lost":
            world.journal.save_checkpoint("run-1", 1, CAPTURE, replace(second, cursor=None))
        elif harm == "moved":
            world.journal.save_checkpoint("run-1", 1, CAPTURE, replace(second, cursor=third.cursor))
        else:
            world.key = MaskKey(bytes(range(1, 33)))
        world.refresh(world.begin("run-2"), chosen=up_to("restore-search"))
        assert "what run run-1 recorded of the search domain" in notes(world)
        assert index(world).indices() == [INDEX]


def test_a_record_that_was_cut_off_among_its_pieces_is_made_anew_before_the_wipe() -> None:
    world = World()
    made = many(world, 80)
    save = world.journal.save_checkpoint
    saved: list[Any] = []

    def cut_off(*told: Any) -> None:
        if len(saved) == 2:
            raise JournalError("the connection broke")
        saved.append(told)
        save(*told)

    world.journal.save_checkpoint = cut_off  # type: ignore[method-assign, assignment]
    with pytest.raises(JournalError):
        world.refresh()
    assert not [write for write in world.writes if write.startswith("delete")]
    record = world.journal.step("run-1", CAPTURE)
    assert record is not None
    assert not record.intent
    world.journal.save_checkpoint = save  # type: ignore[method-assign]
    world.resume()
    assert {name: index(world).definition(name) for name in made} == made


# ---- what OpenSearch does not take


def refusing(world: World, refused: str, code: str = "400") -> World:
    """The domain that the deployment makes takes no such index."""
    deploy = world.deployer.deploy

    def stricter(intent: Any) -> str:
        said = deploy(intent)
        create = index(world).create

        def created(name: str, definition: Mapping[str, Any]) -> None:
            if name == refused:
                raise AwsError(f"search domain {DOMAIN}: could not create index {name}: OpenSearch answered 400", code)
            create(name, definition)

        index(world).create = created  # type: ignore[method-assign, assignment]
        return said

    world.deployer.deploy = stricter  # type: ignore[method-assign]
    return world


def test_an_index_that_opensearch_refuses_is_told_of_and_the_others_are_made() -> None:
    world = refusing(World(), "app-bad")
    given(world, "app-bad")
    index(world).create("app-good", DEFINITION | {"aliases": {}})
    world.refresh()
    assert index(world).indices() == [INDEX, "app-good"]
    assert "index app-bad was not made again: " in notes(world)
    assert "answered 400" in notes(world)
    assert detail(world, "restore-search") == "1 indices made, 1 names were there"
    assert world.outcome().result is Result.PROVEN


@pytest.mark.parametrize("expected", ["app-bad", "app-alias"])
def test_one_that_is_needed_stops_the_run_before_anything_is_copied(expected: str) -> None:
    world = refusing(World(), "app-bad")
    search = world.plan.search
    assert search is not None
    wanted = replace(search.expectations[0], index=expected)
    world.plan = replace(world.plan, search=replace(search, expectations=(wanted,)))
    given(world, "app-bad", {**DEFINITION, "aliases": {"app-alias": {}}})
    with pytest.raises(AwsError, match=rf"index app-bad.*names {expected}: have your deployment make it") as caught:
        world.refresh()
    assert "\n" not in str(caught.value)
    assert "put app-test" not in world.writes


def test_an_answer_that_is_not_about_the_index_is_an_error() -> None:
    world = refusing(World(), "app-bad", "500")
    given(world, "app-bad")
    with pytest.raises(AwsError):
        world.refresh()
