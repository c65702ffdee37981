"""The masking commands: what goes out, what does not, and how they end. Nobody's data is shown without --reveal."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from downstage.app import discovery, preview, setting
from downstage.app.setting import Setting
from downstage.cli.main import app
from downstage.config.lock import read_lock
from downstage.config.policy_load import load_policy, parse_policy
from downstage.domain.plan import MaskingPlan
from downstage.errors import ConfigError, UsageError
from downstage.masking.compile import TableShape
from downstage.masking.keys import MaskKey
from downstage.ports import Item

KEY = "3f1c9a7e5b2d4860a1b3c5d7e9f0123456789abcdef0fedcba98765432100f1e"
BOB = {
    "pk": {"S": "user|17"},
    "sk": {"S": "user|17"},
    "email": {"S": "bob@firm.example"},
    "name": {"S": "Robert Fox"},
    "phone": {"S": "202-667-8147"},
    "notes": {"S": "Robert Fox of 12 Elm Street, write to bob@firm.example"},
    "byMail": {"M": {"bob@firm.example": {"S": "x"}}},
}
PRIVATE = ("bob", "firm", "robert", "fox", "8147", "elm")
POLICY = """\
version: 1
tables:
  app-prod:
    entities:
      user:
        when: {pk: "user|*"}
        keys: {sk: "user|{id:keep}"}
        fields: {name: name, phone: phone, missing: redact, notes: keep}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory with a key in the environment, and no configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOWNSTAGE_MASK_KEY", KEY)
    monkeypatch.delenv("DOWNSTAGE_CONFIG", raising=False)
    (tmp_path / "masking.yaml").write_text(POLICY)
    return tmp_path


def run(*arguments: str, given: bytes | str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=given)


def lines(*items: Any) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def assert_nobody(*texts: str) -> None:
    """Nothing of the item's person stands in the texts, whatever the case."""
    for text in texts:
        assert [word for word in PRIVATE if word in text.lower()] == []


def rows(output: str) -> dict[str, list[str]]:
    """The cells of a printed table by its first cell."""
    split = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.splitlines()]
    return {cells[0]: cells[1:] for cells in split if cells}


# ---- mask


def test_mask_works_without_a_configuration_and_keeps_the_shape() -> None:
    page = {"Items": [BOB, {"pk": {"S": "a"}}], "Count": 2, "LastEvaluatedKey": {"pk": {"S": "bob@firm.example"}}}
    done = run("mask", "--table", "app-prod", given=lines(BOB, {"Item": BOB}, page))
    assert done.exit_code == 0
    bare, export, masked_page = map(json.loads, done.stdout.splitlines())
    assert export == {"Item": bare}
    assert masked_page == {"Items": [bare, {"pk": {"S": "a"}}], "Count": 2}
    assert bare["email"]["S"].endswith("@test.example.com")
    assert bare["pk"] == BOB["pk"]
    assert "bob" not in done.stdout
    assert done.stderr == "4 items written, 3 changed; 9 addresses replaced\n"


def test_the_environment_the_sink_and_the_policy_can_be_named() -> None:
    done = run(
        *("mask", "--table", "app-prod", "--env", "qa", "--sink", "{token}@{env}.masked.test"),
        *("--policy", "masking.yaml"),
        given=lines(BOB),
    )
    item = json.loads(done.stdout)
    assert item["email"]["S"].endswith("@qa.masked.test")
    assert item["name"]["S"] != "Robert Fox"
    assert item["phone"]["S"] != "202-667-8147"
    other = run("mask", "--table", "another", "--policy", "masking.yaml", given=lines(BOB))
    assert json.loads(other.stdout)["name"]["S"] == "Robert Fox"


def test_the_same_key_makes_the_same_pseudonyms_and_another_makes_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("mask", "--table", "t", given=lines(BOB)).stdout
    assert run("mask", "--table", "t", given=lines(BOB)).stdout == first
    monkeypatch.setenv("DOWNSTAGE_MASK_KEY", KEY[::-1])
    assert run("mask", "--table", "t", given=lines(BOB)).stdout != first


def test_a_file_may_be_packed(place: Path) -> None:
    (place / "items.json.gz").write_bytes(gzip.compress(lines(BOB).encode()))
    done = run("mask", "--table", "t", "items.json.gz")
    assert json.loads(done.stdout)["email"]["S"].endswith("@test.example.com")


REFUSED = {"pk": {"S": "user|18"}, "sk": {"S": "user|18"}, "name": {"B": "Ym9iQGZpcm0uZXhhbXBsZQ=="}}


def test_a_refused_item_is_left_out_told_without_data_and_the_exit_code_is_6() -> None:
    given = lines(BOB, {"Items": [REFUSED, BOB], "Count": 2}, REFUSED)
    done = run("mask", "--table", "app-prod", "--policy", "masking.yaml", given=given)
    assert done.exit_code == 6
    assert len(done.stdout.splitlines()) == 2
    assert json.loads(done.stdout.splitlines()[1])["Count"] == 1
    said = done.stderr.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == ["line 2", "line 3"]
    assert all("not written" in line for line in said[:2])
    assert said[2].endswith("2 items refused")
    assert_nobody(done.stderr)


def test_with_json_everything_but_items_is_an_object_on_standard_error() -> None:
    done = run("mask", "--table", "app-prod", "--policy", "masking.yaml", "--json", given=lines(BOB, REFUSED))
    assert done.exit_code == 6
    assert len(done.stdout.splitlines()) == 1
    refused, summary = map(json.loads, done.stderr.splitlines())
    assert refused == {"event": "refused", "line": 2, "item": 1, "reason": refused["reason"]}
    assert summary == {
        "event": "masked",
        "table": "app-prod",
        "environment": "test",
        "items": 2,
        "written": 1,
        "changed": 1,
        "refused": 1,
        "addresses": 3,
        "kept": 0,
        "opaque": 0,
        "unknown": 0,
    }


def test_a_bad_line_ends_it_with_2_and_nothing_of_the_line_goes_out() -> None:
    done = run("mask", "--table", "t", "--json", given=lines(BOB) + '{"pk": {"S": "bob@firm.example"\n' + lines(BOB))
    assert done.exit_code == 2
    assert len(done.stdout.splitlines()) == 1
    error = json.loads(done.stderr)
    assert error["event"] == "error"
    assert error["exit_code"] == 2
    assert error["message"].startswith("line 2: ")
    assert_nobody(done.stderr)
    plain = run("mask", "--table", "t", given="no json\n")
    assert isinstance(plain.exception, UsageError)
    assert plain.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--sink", "u-{token}@gmail.com"], {}, "must be at a domain where no person reads mail"),
        (["--sink", "nobody@x.test"], {}, "command line: masking.sink"),
        (["--env", "Not A Host"], {}, "command line: "),
        (["--policy", "absent.yaml"], {}, "names a file that is not there"),
        (["--config", "absent.yaml"], {}, "no configuration at absent.yaml"),
        ([], {"DOWNSTAGE_MASK_KEY": ""}, "the environment variable DOWNSTAGE_MASK_KEY is not set"),
        ([], {"DOWNSTAGE_MASK_KEY": "short"}, "the masking key has 5 bytes"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_masked(
    arguments: list[str], environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = run("mask", "--table", "t", *arguments, given=lines(BOB))
    assert isinstance(done.exception, ConfigError)
    assert expected in str(done.exception)
    assert done.stdout == ""


def test_a_file_that_is_not_there_is_a_mistake() -> None:
    done = run("mask", "--table", "t", "absent.json")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("absent.json cannot be read")


# ---- explain


def test_explain_says_what_touches_each_leaf_and_shows_no_value() -> None:
    done = run("explain", "--table", "app-prod", "--policy", "masking.yaml", given=lines(BOB))
    assert done.exit_code == 0
    table = rows(done.stdout)
    assert table["name"][:2] == ["S", "rule name: name"]
    assert "masking.yaml:" in " ".join(table["name"])
    assert table["sk"][:2] == ["S", "key template user|{id:keep}"]
    assert table["email"] == ["S", "address scan", "changed", "1"]
    assert table["notes"][1] == "rule notes: keep (addresses are replaced all the same)"
    assert "byMail.{key}" in table
    assert table["byMail.*"][0] == "S"
    assert_nobody(done.stdout, done.stderr)


def test_explain_shows_values_to_who_asks_for_them() -> None:
    done = run("explain", "--table", "app-prod", "--policy", "masking.yaml", "--reveal", given=lines(BOB))
    assert "Robert Fox" in done.stdout
    assert "bob@firm.example" in done.stdout
    assert "@test.example.com" in done.stdout


def test_explain_takes_one_item_of_many_and_speaks_json() -> None:
    given = lines({"Items": [{"pk": {"S": "a"}}, BOB], "Count": 2}, {"pk": {"S": "b"}})
    done = run("explain", "--table", "t", "--item", "2", "--json", given=given)
    (found,) = map(json.loads, done.stdout.splitlines())
    assert set(found) == {"table", "leaves"}
    by_path = {leaf["path"]: leaf for leaf in found["leaves"]}
    assert by_path["email"] == {
        "path": "email",
        "type": "S",
        "by": "scan",
        "rule": "",
        "strategy": "",
        "place": "",
        "changed": True,
        "addresses": 1,
    }
    assert_nobody(done.stdout)
    missing = run("explain", "--table", "t", "--item", "9", given=given)
    assert str(missing.exception) == "there is no item 9: the file holds 3"


def test_explain_of_a_refused_item_says_why_and_ends_with_6() -> None:
    done = run("explain", "--table", "app-prod", "--policy", "masking.yaml", given=lines(REFUSED))
    assert done.exit_code == 6
    assert done.stdout.startswith("refused: ")
    assert_nobody(done.stdout)


def test_a_key_needs_a_configuration_and_no_file() -> None:
    assert isinstance(run("explain", "--table", "t", "--key", "{}").exception, ConfigError)
    both = run("explain", "--table", "t", "items.json", "--key", "{}")
    assert str(both.exception) == "name a file or --key, not both"


@pytest.mark.parametrize("key", ["bob@firm.example", "{}", '{"pk": "bob@firm.example"}'])
def test_a_key_that_is_not_typed_json_is_a_mistake_without_its_text(key: str) -> None:
    with pytest.raises(UsageError, match="--key must be typed JSON") as raised:
        preview.parse_key(key)
    assert "bob" not in str(raised.value)


def test_binaries_survive_the_way_through_boto3() -> None:
    item = {"b": {"B": "AAE="}, "l": {"L": [{"BS": ["/w==", "AA=="]}, {"M": {"x": {"B": ""}}}]}, "s": {"S": "AAE="}}
    raw = preview._for_boto(item)
    assert raw["b"] == {"B": b"\0\1"}
    assert raw["s"] == {"S": "AAE="}
    assert preview._from_boto(raw) == item


# ---- with production's tables


class Source:
    """Stands for production: two tables in memory."""

    items: Sequence[Item] = ()

    def __init__(self, project: Any, environment: str) -> None:
        self.plan = SimpleNamespace(masking=project.plan)

    def names(self, only: str | None = None) -> tuple[str, ...]:
        return preview.table_names(["app-prod", "app-users"], only)

    def shape(self, table: str) -> TableShape:
        return TableShape(table, ("pk", "sk"))

    def visit(self, table: str, visit: Callable[[Item], None], count: int | None, rate: float | None) -> int:
        items = list(self.items if table == "app-prod" else [])[:count]
        for item in items:
            visit(item)
        return len(items)


@pytest.fixture
def production(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what production holds, and the policy and lock that are configured."""

    def arrange(*items: Item, policy: str = POLICY) -> None:
        lock = place / "masking.lock"
        plan = MaskingPlan(
            key="env:DOWNSTAGE_MASK_KEY",
            sink="u-{token}@test.example.com",
            environment="test",
            policy=parse_policy(policy, "masking.yaml")[0],
            lock=read_lock(lock) if lock.exists() else None,
        )
        project: Any = SimpleNamespace(plan=plan)
        monkeypatch.setattr(discovery, "ground", lambda _: discovery.Ground(project, lock, place / "masking.yaml"))
        monkeypatch.setattr("downstage.cli.masking.open_project", lambda config: project)
        monkeypatch.setattr(Source, "items", items)
        monkeypatch.setattr(preview, "SourceTables", Source)
        monkeypatch.setattr(setting, "configured", lambda *_: Setting(plan, MaskKey(KEY.encode()), ()))

    return arrange


def test_diff_shows_pseudonyms_and_hides_what_was_there(production: Callable[..., None]) -> None:
    production(BOB, {"pk": {"S": "a"}})
    done = run("diff", "test")
    assert done.exit_code == 0
    assert "app-prod: 2 items, 5 changed leaves" in done.stdout
    assert "app-users: 0 items, 0 changed leaves" in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.split()[1:2] == ["email"]]
    assert row[:5] == ["1", "email", "S", "●●●●", "9–16"]
    assert row[5].endswith("@test.example.com")
    assert_nobody(done.stdout)


def test_diff_shows_of_a_text_only_the_pseudonyms(production: Callable[..., None]) -> None:
    production(BOB)
    done = run("diff", "test", "--json", "--table", "app-prod")
    found = {change["path"]: change for change in map(json.loads, done.stdout.splitlines())}
    assert found["notes"]["before"] == "●●●● 33–64"
    assert found["notes"]["after"].startswith("…u-")
    assert found["notes"]["after"].endswith("@test.example.com")
    assert found["name"]["strategy"] == "name"
    assert found["name"]["after"].replace(" ", "").isalpha()
    assert found["byMail.{key}"]["type"] == "name"
    assert set(found) == {"email", "name", "phone", "notes", "byMail.{key}"}
    assert_nobody(done.stdout)
    revealed = run("diff", "test", "--table", "app-prod", "--reveal").stdout
    assert "Robert Fox of 12 Elm Street" in revealed


def test_diff_of_refused_items_says_so_and_ends_with_6(production: Callable[..., None]) -> None:
    production(BOB, REFUSED)
    done = run("diff", "test", "--table", "app-prod")
    assert done.exit_code == 6
    assert "item 2: refused: " in done.stdout
    assert_nobody(done.stdout)


def test_an_unknown_table_is_a_mistake(production: Callable[..., None]) -> None:
    production(BOB)
    for command in ("diff", "coverage", "discover"):
        done = run(command, "test", "--table", "app-prd")
        assert str(done.exception) == "'app-prd' is no source table of this environment: it copies app-prod, app-users"


def test_coverage_counts_leaves_by_path_and_says_what_was_never_met(
    production: Callable[..., None], place: Path
) -> None:
    (place / "masking.lock").write_text(
        "version: 1\ntables:\n  app-prod:\n    pk: S\n    sk: S\n    email: S\n    name: S\n    phone: S\n"
        "    notes: S\n    byMail: M\n    byMail.*: S\n    fax: S\n"
    )
    production(BOB, BOB, policy=POLICY.replace("version: 1", "version: 1\nunknown: scan"))
    done = run("coverage", "test", "--table", "app-prod", "--json")
    assert done.exit_code == 0
    (found,) = map(json.loads, done.stdout.splitlines())
    by_path = {path["path"]: path for path in found["paths"]}
    assert by_path["name"] == {
        "path": "name",
        "types": ["S"],
        "ruled": 2,
        "scanned": 0,
        "kept": 0,
        "unknown": 0,
        "changed": 2,
        "addresses": 0,
    }
    assert (by_path["sk"]["ruled"], by_path["notes"]["kept"], by_path["email"]["scanned"]) == (2, 2, 2)
    assert found["items"] == 2
    assert found["leaves"] == sum(path[g] for path in found["paths"] for g in ("ruled", "scanned", "kept", "unknown"))
    assert sum(found["share"].values()) == pytest.approx(1)
    assert [rule["rule"] for rule in found["unseen_rules"]] == ["missing"]
    assert found["unseen_rules"][0]["place"].startswith("masking.yaml:")
    assert found["unseen_paths"] == ["fax"]
    assert_nobody(done.stdout)
    shown = run("coverage", "test", "--table", "app-prod").stdout
    assert "rules never met: 1\n  missing (masking.yaml:" in shown
    assert "paths of the lock never met: 1\n  fax" in shown
    assert_nobody(shown)


def test_coverage_names_nobody_under_a_rule_for_any_name(production: Callable[..., None], place: Path) -> None:
    (place / "masking.lock").write_text(
        "version: 1\ntables:\n  app-prod:\n    pk: S\n    votes: M\n    votes.alice: S\n    votes.total: S\n"
        "    by: M\n    by.alan: S\n"
    )
    policy = (
        "version: 1\nunknown: scan\ntables:\n  app-prod:\n    fields:\n      votes.{key}: hash\n      by.*: redact\n"
    )
    production(BOB, policy=policy)
    done = run("coverage", "test", "--table", "app-prod", "--json")
    assert json.loads(done.stdout)["unseen_paths"] == ["by.*", "votes.*"]
    assert "ala" not in done.stdout + run("coverage", "test", "--table", "app-prod").stdout


def test_coverage_shows_what_the_lock_does_not_know(production: Callable[..., None], place: Path) -> None:
    (place / "masking.lock").write_text("version: 1\ntables:\n  app-prod:\n    pk: S\n    sk: S\n")
    production(BOB, policy=POLICY.replace("version: 1", "version: 1\nunknown: scan"))
    found = json.loads(run("coverage", "test", "--table", "app-prod", "--json").stdout)
    assert {path["path"] for path in found["paths"] if path["unknown"]} >= {"email", "name"}
    production(BOB)
    refused = run("coverage", "test", "--table", "app-prod")
    assert refused.exit_code == 6
    assert "refused: 1" in refused.stdout
    assert "not in masking.lock" in refused.stdout
    assert_nobody(refused.stdout)


def people() -> list[Item]:
    return [{**BOB, "pk": {"S": f"user|{n}"}, "sk": {"S": f"user|{n}"}} for n in range(5)]


def test_discover_writes_a_lock_and_a_draft_without_data(production: Callable[..., None], place: Path) -> None:
    production(*people())
    done = run("discover", "test")
    assert done.exit_code == 0
    lock, draft = (place / "masking.lock").read_text(), (place / "masking.draft.yaml").read_text()
    assert_nobody(done.stdout, done.stderr, lock, draft)
    (_, empty) = read_lock(place / "masking.lock").tables
    assert (empty.table, empty.paths) == ("app-users", ())
    assert "    byMail.*: S\n" in lock
    policy, _ = load_policy(place / "masking.draft.yaml")
    (entity,) = policy.tables[0].entities
    assert {rule.text: rule.strategy.name for rule in entity.fields} == {"name": "name", "phone": "phone"}
    assert (place / "masking.yaml").read_text() == POLICY
    assert "masking.draft.yaml" in done.stdout


def test_discover_adds_to_the_lock_and_shows_the_difference(production: Callable[..., None], place: Path) -> None:
    production(*people())
    run("discover", "test")
    production({"pk": {"N": "1"}, "sk": {"S": "a"}, "fax": {"S": "b"}})
    found = json.loads(run("discover", "test", "--json").stdout.splitlines()[0])
    assert found["added"] == [{"path": "fax", "types": ["S"]}, {"path": "pk", "types": ["N"]}]
    assert "email" in {path["path"] for path in found["not_met"]}
    assert found["dropped"] == []
    text = (place / "masking.lock").read_text()
    assert "    pk: N S\n" in text
    assert "    email: S\n" in text


def test_a_fresh_lock_forgets_but_only_the_tables_it_looked_at(production: Callable[..., None], place: Path) -> None:
    production(*people())
    run("discover", "test")
    (place / "masking.lock").write_text((place / "masking.lock").read_text() + "  app-old:\n    pk: S\n")
    production({"pk": {"S": "1"}, "sk": {"S": "a"}})
    found = json.loads(run("discover", "test", "--fresh", "--json", "--table", "app-prod").stdout.splitlines()[0])
    assert {path["path"] for path in found["dropped"]} >= {"email", "name", "byMail.*"}
    tables = {table.table: len(table.paths) for table in read_lock(place / "masking.lock").tables}
    assert tables == {"app-old": 1, "app-prod": 2, "app-users": 0}


def test_a_draft_never_takes_the_place_of_the_policy(
    production: Callable[..., None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production(*people())
    monkeypatch.setattr("downstage.app.discovery.DRAFT_NAME", "masking.yaml")
    done = run("discover", "test")
    assert isinstance(done.exception, ConfigError)
    assert (place / "masking.yaml").read_text() == POLICY
    assert not (place / "masking.lock").exists()


CONFIGURATION = """\
version: 1
environments:
  prod: {account: "111111111111", region: us-east-1, protected: true}
  test: {account: "222222222222", region: us-east-1, refresh: {from: prod}}
masking: {key: "env:DOWNSTAGE_MASK_KEY"%s}
"""


@pytest.mark.parametrize(
    ("named", "lock", "policy"),
    [
        ("", "masking.lock", None),
        (", policy: masking.yaml", "masking.lock", "masking.yaml"),
        (", policy: not/there.yaml", "not/masking.lock", "not/there.yaml"),
        (", policy: masking.yaml, lock: not/there.lock", "not/there.lock", "masking.yaml"),
    ],
)
def test_discover_does_not_need_the_files_that_it_is_there_to_write(
    named: str, lock: str, policy: str | None, place: Path
) -> None:
    (place / "downstage.yaml").write_text(CONFIGURATION % named)
    ground = discovery.ground(Path("downstage.yaml"))
    assert ground.lock_path == place / lock
    assert ground.policy_path == (place / policy if policy else None)
    assert ground.project.plan("test").masking.lock is None


def test_presidio_that_is_not_installed_is_said_before_anything_is_read(production: Callable[..., None]) -> None:
    production(*people())
    done = run("discover", "test", "--presidio")
    assert isinstance(done.exception, UsageError)
    assert "downstage[pii]" in str(done.exception)


def test_what_may_be_shown_of_a_value_without_asking() -> None:
    from downstage.app.showing import hidden

    texts = {"": "empty", "a": "1–4", "abcd": "1–4", "abcde": "5–8", "a" * 17: "17–32"}
    assert {text: hidden({"S": text}).removeprefix("●●●● ") for text in texts} == texts
    assert hidden({"SS": ["bob"]}) == "●●●● 1 member"
    assert hidden({"BOOL": True}) == "●●●●"


def test_a_setting_is_replaced_only_where_it_is_asked_for() -> None:
    plain = setting.unconfigured("qa", None, None)
    assert plain.plan == replace(plain.plan, sink="u-{token}@qa.example.com", environment="qa", lock=None)
    assert KEY not in repr(plain)
