"""The policy file: what it becomes, every refusal with its line and advice, its JSON Schema, the draft, the docs."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from downstage.config.policy_draft import DraftEntity, DraftRule, draft_policy
from downstage.config.policy_load import load_policy, parse_policy
from downstage.config.policy_schema import json_schema, schema_text
from downstage.config.policy_strategies import BUILT_IN, StrategyForm
from downstage.domain import paths
from downstage.domain.paths import Name, parse, show
from downstage.domain.patterns import covers
from downstage.domain.policy import (
    Entity,
    FieldRule,
    KeyRule,
    KeyTemplate,
    Policy,
    StrategySpec,
    TablePolicy,
)
from downstage.errors import ConfigError

DOCS = Path(__file__).parents[2] / "docs" / "masking-policy.md"

SAMPLE = """\
version: 1
keep:
  domains: [ourco.com]
  addresses: [ops@ourco.com]
unknown: fail
strategies:
  birthday: {date_shift: {days: 30, by: pk}}
  born: birthday
tables:
  "efcms-prod-*":
    unmatched: fail
    fields:
      "**.ssn": drop
    entities:
      user:
        when: {pk: "user|*", sk: "user|*"}
        keys:
          pk: "user|{id:keep}"
          gsi1pk: ["user-email|{email}", "user|{id:keep}"]
        fields:
          name: name
          birthDate: born
          byEmail.{key}: email
          note: {text: [phone, ssn]}
          gone: null
      other: {}
  audit: {fields: {actor: {hash: 24}}}
"""


def policy_of(text: str) -> Policy:
    return parse_policy(text, "masking.yaml")[0]


def refusal(text: str, *, kept_elsewhere: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "masking.yaml", kept_elsewhere=kept_elsewhere)
    return str(caught.value).splitlines()


def table(body: str) -> str:
    """A policy with one table; `body` is what stands in it, on line 4 from column 5 on."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"version: 1\ntables:\n  app:\n{lines}"


def field(strategy: str) -> str:
    return table(f"fields: {{a: {strategy}}}")


def rule(path: str, name: str, **options: object) -> FieldRule:
    return FieldRule(path, parse(path), StrategySpec(name, options))


def test_what_the_sample_becomes() -> None:
    policy, keep = parse_policy(SAMPLE, "masking.yaml")
    keep_id = StrategySpec("keep")
    user = Entity(
        "user",
        (("pk", "user|*"), ("sk", "user|*")),
        (
            KeyRule("pk", (KeyTemplate("user|{id:keep}", ("user|", keep_id)),)),
            KeyRule(
                "gsi1pk",
                (
                    KeyTemplate("user-email|{email}", ("user-email|", StrategySpec("email"))),
                    KeyTemplate("user|{id:keep}", ("user|", keep_id)),
                ),
            ),
        ),
        (
            rule("name", "name"),
            rule("birthDate", "date_shift", days=30, by="pk"),
            rule("byEmail.{key}", "email"),
            rule("note", "text", kinds=("phone", "ssn")),
            rule("gone", "null"),
        ),
    )
    assert policy == Policy(
        (
            TablePolicy("efcms-prod-*", (user, Entity("other")), (rule("**.ssn", "drop"),), "fail"),
            TablePolicy("audit", (), (rule("actor", "hash", letters=24),)),
        ),
        "fail",
    )
    assert (keep.domains, keep.addresses) == (("ourco.com",), ("ops@ourco.com",))


def test_everything_knows_its_place() -> None:
    efcms, audit = policy_of(SAMPLE).tables
    user = efcms.entities[0]
    assert efcms.place == "masking.yaml:10:3"
    assert efcms.fields[0].place == "masking.yaml:13:7"
    assert user.place == "masking.yaml:15:7"
    assert user.keys[0].templates[0].place == "masking.yaml:18:11"
    assert user.keys[1].templates[1].place == "masking.yaml:19:42"
    assert user.keys[1].templates[0].parts[1].place == "masking.yaml:19:20"  # type: ignore[union-attr]
    assert user.fields[1].strategy.place == "masking.yaml:22:11"
    assert audit.fields[0].place == "masking.yaml:27:20"


def test_a_policy_may_say_nothing() -> None:
    assert policy_of("version: 1\n") == Policy()


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("keep", "keep", {}),
        ("null", "null", {}),
        ("'null'", "null", {}),
        ("{email: {}}", "email", {}),
        ("{email: {domain: people/v2, on_merge: merge}}", "email", {"domain": "people/v2", "on_merge": "merge"}),
        ("{date_shift: {days: 3660}}", "date_shift", {"days": 3660}),
        ("{number_noise: 2.5}", "number_noise", {"percent": 2.5}),
        ("{number_noise: {percent: 100}}", "number_noise", {"percent": 100}),
        ("{text: [card, ip]}", "text", {"kinds": ("card", "ip")}),
        ("{text: {kinds: [ip]}}", "text", {"kinds": ("ip",)}),
        ("{redact: gone}", "redact", {"with": "gone"}),
        ("{redact: {with: gone}}", "redact", {"with": "gone"}),
        ("{hash: 16}", "hash", {"letters": 16}),
        ("{pick: [a, b]}", "pick", {"from": ("a", "b")}),
        ("{pick: {from: [a, b], domain: x}}", "pick", {"from": ("a", "b"), "domain": "x"}),
        ('{template: "P-{token:24}-{digits:4}"}', "template", {"text": "P-{token:24}-{digits:4}"}),
        ('{hook: "acme.masks:docket"}', "hook", {"call": "acme.masks:docket"}),
        ('{hook: {call: "a:b.c", patience: 1}}', "hook", {"call": "a:b.c", "patience": 1}),
    ],
)
def test_options_come_out_in_their_long_form_and_only_those_given(
    text: str, name: str, options: dict[str, object]
) -> None:
    assert policy_of(field(text)).tables[0].fields[0].strategy == StrategySpec(name, options)


AT = "masking.yaml:4:14: tables.app.fields.a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (field("emial"), f"{AT} names the strategy 'emial', which is not there; did you mean 'email'?"),
        (field("qqqq"), f"{AT} names the strategy 'qqqq', which is not there; known strategies: email, phone, name"),
        (field("{emial: {}}"), f"{AT} names the strategy 'emial', which is not there; did you mean 'email'?"),
        (field("bob@hunter2.com"), f"{AT} names the strategy (not shown), which is not there"),
        (field("date_shift"), f"{AT} names the strategy 'date_shift', which needs options; write {{date_shift: {{days"),
        (field("hook"), f"{AT} names the strategy 'hook', which needs options"),
        (field(""), f"{AT} is empty; write the name of a strategy, such as email"),
        (field("5"), f"{AT} must be the name of a strategy, or one with options such as"),
        (field("[email]"), f"{AT} must be the name of a strategy, or one with options such as"),
        (field("{email: {}, domain: x}"), f"{AT} must name one strategy, its options below it"),
        (field("{}"), f"{AT} must name one strategy"),
        (field("{date_shift: {}}"), "masking.yaml:4:18: tables.app.fields.a.date_shift needs the key 'days'"),
        (
            field("{date_shift: {days: 1, bye: pk}}"),
            "masking.yaml:4:40: unknown key 'bye' in tables.app.fields.a.date_shift; did you mean 'by'?",
        ),
        (
            field("{hash: {leters: 20}}"),
            "masking.yaml:4:25: unknown key 'leters' in tables.app.fields.a.hash; did you mean 'letters'?",
        ),
        (
            field("{email: {zzz: 20}}"),
            "masking.yaml:4:26: unknown key 'zzz' in tables.app.fields.a.email; known keys: domain, on_merge",
        ),
        (field("{date_shift: 30}"), "tables.app.fields.a.date_shift must be a mapping of keys to values"),
        (field("{date_shift: {days: 0}}"), "tables.app.fields.a.date_shift.days must be at least 1"),
        (field("{date_shift: {days: 3661}}"), "tables.app.fields.a.date_shift.days must be at most 3660"),
        (field("{number_noise: 0}"), "masking.yaml:4:18: tables.app.fields.a.number_noise must be more than 0"),
        (field("{number_noise: 101}"), "tables.app.fields.a.number_noise must be at most 100"),
        (field("{number_noise: hunter2}"), "tables.app.fields.a.number_noise must be a number"),
        (field("{text: [phon]}"), "tables.app.fields.a.text must be 'phone', 'ssn', 'card' or 'ip'"),
        (field("{text: []}"), "tables.app.fields.a.text must hold at least 1"),
        (field("{text: [ip, ip]}"), "tables.app.fields.a.text holds one text twice"),
        (field("{hash: 15}"), "tables.app.fields.a.hash must be at least 16"),
        (field("{hash: 65}"), "tables.app.fields.a.hash must be at most 64"),
        (field("{pick: [hunter2]}"), "tables.app.fields.a.pick must hold at least 2"),
        (field("{pick: [hunter2, hunter2]}"), "tables.app.fields.a.pick holds one text twice"),
        (field("{template: hunter2}"), "tables.app.fields.a.template holds none of {token}"),
        (field('{template: "{token}{tokn}"}'), "tables.app.fields.a.template may hold no other braces than"),
        (field('{template: "{token}{"}'), "tables.app.fields.a.template may hold no other braces than"),
        (field('{template: "{digits:65}"}'), "tables.app.fields.a.template asks for more than 64"),
        (field('{template: "{token:0}"}'), "tables.app.fields.a.template asks for more than 64"),
        (field("{hook: hunter2}"), "tables.app.fields.a.hook must be written module:function"),
        (field('{hook: {call: "a:b", patience: 0}}'), "tables.app.fields.a.hook.patience must be more than 0"),
        (field("{email: {domain: Hunter2}}"), "tables.app.fields.a.email.domain must be a name of a-z"),
        (field("{email: {on_merge: hunter2}}"), "tables.app.fields.a.email.on_merge must be 'fail' or 'merge'"),
    ],
)
def test_strategies_that_are_refused(text: str, message: str) -> None:
    (line,) = refusal(text)
    assert message in line
    assert line.startswith("masking.yaml:4:")
    assert "hunter2" not in line


def key(text: str) -> str:
    return table(f"entities:\n  user:\n    keys: {{pk: {text}}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"user|{email"', "has a '{' that is not closed, at character 6"),
        ('"user|{a{b}"', "has a '{' that is not closed, at character 6"),
        ('"user|}"', "has a '}' without a '{' before it, at character 6"),
        ('"user|{email}}"', "has a '}' without a '{' before it, at character 13"),
        ('"user|{}"', "has no strategy in the braces at character 6; write one, such as {email} or {id:keep}"),
        ('"user|{id:}"', "has no strategy in the braces at character 6"),
        ('"{a:email}{b:phone}"', "has two parts with nothing between them at character 10"),
        ('"user|{emial}"', "names the strategy 'emial' at character 6, which is not there; did you mean 'email'?"),
        ('"user|{x:birthdy}"', "names the strategy 'birthdy' at character 6, which is not there; known strategies"),
        ('"user|{date_shift}"', "names the strategy 'date_shift' at character 6, which needs options; give {date_sh"),
        ('""', "is empty; write the key with its parts in braces, such as user|{email}"),
        ("[]", "must not be empty"),
        ("5", "must be a list"),
    ],
)
def test_templates_that_are_refused(text: str, message: str) -> None:
    (line,) = refusal(key(text))
    assert line.startswith(f"masking.yaml:6:16: tables.app.entities.user.keys.pk {message}")


def test_a_template_in_a_list_has_its_own_place() -> None:
    (line,) = refusal(key('["user|{email}", "user|{"]'))
    assert line.startswith("masking.yaml:6:37: tables.app.entities.user.keys.pk[1] has a '{' that is not closed")


def test_a_template_without_parts_is_a_fixed_key() -> None:
    (found,) = policy_of(key("catalog")).tables[0].entities[0].keys
    assert found.templates == (KeyTemplate("catalog", ("catalog",)),)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a..b", "'a..b' cannot be read from character 3 on; write names, '*', '**', '[*]' or '{key}', joined by '.'"),
        ("a.", "'a.' ends with a '.'"),
        ("a[0]", "'a[0]' has no '.' at character 2"),
        ("{key}.a", "'{key}.a' has something after '{key}'"),
        ("a.**", "'a.**' ends with '**'; say which name at any depth"),
        ("bob@hunter2.com..", "(not shown) cannot be read from character 17 on"),
    ],
)
def test_paths_that_are_refused(path: str, message: str) -> None:
    (line,) = refusal(table(f'fields:\n  "{path}": email'))
    assert line.startswith(f"masking.yaml:5:7: tables.app.fields.{message}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SAMPLE.replace("version: 1", "version: 2"), "1:1: version must be 1"),
        (SAMPLE.replace("version: 1\n", ""), "1:1: the policy needs the key 'version'"),
        (SAMPLE.replace("tables:", "tabels:"), "9:1: unknown key 'tabels' at the top level; did you mean 'tables'?"),
        (SAMPLE.replace("unknown: fail", "unknown: stop"), "5:1: unknown must be 'fail', 'scan' or 'keep'"),
        (SAMPLE.replace("unmatched: fail", "unmatched: keep"), "11:5: tables.'efcms-prod-*'.unmatched must be 'scan'"),
        (SAMPLE.replace("entities:", "entitys:"), "14:5: unknown key 'entitys' in tables.'efcms-prod-*'; did you mean"),
        (SAMPLE.replace("when:", "wen:"), "16:9: unknown key 'wen' in tables.'efcms-prod-*'.entities.user; did you"),
        (SAMPLE.replace('"efcms-prod-*"', '"efcms-[ab]"'), "10:3: tables.'efcms-[ab]' must be the name of a source"),
        (SAMPLE.replace("  other:", "  o ther:"), "26:7: tables.'efcms-prod-*'.entities.'o ther' must be a name of"),
        (SAMPLE.replace("born: birthday", "email: phone"), "8:3: strategies.email is a strategy of Downstage already"),
        (SAMPLE.replace("born: birthday", "9born: phone"), "8:3: strategies.9born must be a name that starts with"),
        (SAMPLE.replace("born: birthday", "birthday: name"), "8:3: key 'birthday' stands here a second time (first: l"),
        (
            SAMPLE.replace("born: birthday", "born: birthdya"),
            "8:3: strategies.born names the strategy 'birthdya', which is not there; did you mean 'birthday'?",
        ),
        (
            SAMPLE.replace("birthDate: born", "birthDate: {born: {days: 1}}"),
            "22:11: tables.'efcms-prod-*'.entities.user.fields.birthDate gives options to 'born', which is a name of",
        ),
        (SAMPLE.replace("born: birthday", "born: born"), "8:3: strategies.born goes round in a circle: born -> born;"),
        (
            SAMPLE.replace("birthday: {date_shift: {days: 30, by: pk}}", "birthday: born"),
            "7:3: strategies.birthday goes round in a circle: birthday -> born -> birthday; name a strategy",
        ),
        (SAMPLE.replace("name: name", "name: name\n          name: keep"), "22:11: key 'name' stands here a second"),
        (
            SAMPLE.replace("name: name", "name: name\n          '\"name\"': keep"),
            "22:11: tables.'efcms-prod-*'.entities.user.fields.'\"name\"' is the same path as 'name' above, written ot",
        ),
        (
            SAMPLE.replace("name: name", "gsi1pk: email"),
            "21:11: tables.'efcms-prod-*'.entities.user.fields.gsi1pk is about 'gsi1pk', which has a template",
        ),
        (
            SAMPLE.replace('"**.ssn": drop', "pk: email"),
            "18:11: tables.'efcms-prod-*'.entities.user.keys.pk has a rule in the table's 'fields' already; keep one",
        ),
        (
            SAMPLE.replace('        when: {pk: "user|*", sk: "user|*"}\n', ""),
            "25:7: tables.'efcms-prod-*'.entities.other is never taken: 'user' has no 'when', so it matches every such",
        ),
        (
            SAMPLE.replace("other: {}", 'other: {when: {pk: "user|a*", sk: "user|*", x: y}}'),
            "26:7: tables.'efcms-prod-*'.entities.other is never taken: 'user' before it matches every such item; mov",
        ),
        (
            SAMPLE.replace('"efcms-prod-*"', '"efcms-*-eu"').replace("  audit:", "  efcms-a-eu:"),
            "27:3: tables.efcms-a-eu is never taken: 'efcms-*-eu' before it matches every such table; move this one up",
        ),
        (
            SAMPLE.replace('sk: "user|*"', 'sk: "*|user"').replace(
                "other: {}", 'other: {when: {pk: "user|a*", sk: "a*|user"}}'
            ),
            "26:7: tables.'efcms-prod-*'.entities.other is never taken: 'user' before it matches every such item; mov",
        ),
        (SAMPLE.replace("  audit:", "  efcms-prod-a:"), "27:3: tables.efcms-prod-a is never taken: 'efcms-prod-*' bef"),
        (
            table("unmatched: fail"),
            "3:3: tables.app has 'unmatched: fail' and no entities: every item would be refused",
        ),
        (SAMPLE.replace("ourco.com]", "'*.ourco.com']", 1), "3:13: keep.domains[0] must be a domain such as acme.com"),
        (SAMPLE.replace("ops@ourco.com", "hunter2"), "4:15: keep.addresses[0] must be one e-mail address"),
        ("", ": is empty; start with 'version: 1'; 'downstage discover' writes a draft"),
    ],
)
def test_policies_that_are_refused(text: str, message: str) -> None:
    line = refusal(text)[0]
    assert line.removeprefix("masking.yaml:").startswith(message.removeprefix(":"))
    assert "hunter2" not in line


def test_kept_domains_are_not_the_sinks_and_stand_in_one_place() -> None:
    with pytest.raises(ConfigError, match=r"keep\.domains\[0\] is the sink's own domain"):
        parse_policy(SAMPLE, "masking.yaml", sinks=("ourco.com",))
    (line,) = refusal(SAMPLE, kept_elsewhere=True)
    assert line == (
        "masking.yaml:2:1: keep stands here, and 'masking.keep' in the configuration; move all to one place"
    )


def test_all_problems_at_once_in_the_order_of_the_file_and_twenty_at_most() -> None:
    text = SAMPLE.replace("note: {text", "note: {txet").replace("fail", "stop").replace("born: birthday", "born: x")
    assert [line.split(":")[1] for line in refusal(text)] == ["5", "8", "11", "24"]
    many = refusal(table("fields:\n" + "\n".join(f"  a{number}: nothing" for number in range(30))))
    assert len(many) == 20
    assert many[-1] == "and 11 more problems"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "masking.yaml"
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    assert str(caught.value) == f"no masking policy at {path}: 'downstage discover' writes a draft"
    path.write_text("version: 2\n")
    with pytest.raises(ConfigError, match=r"^masking\.yaml:1:1: version must be 1"):
        load_policy(path, name="masking.yaml")


@pytest.mark.parametrize(
    ("wide", "narrow", "does"),
    [
        ("*", "a", True), ("a*", "ab*", True), ("a*", "a", True), ("a?", "ab", True), ("a?*", "ab*", True),
        ("a|*", "b|*", False), ("a", "a*", False), ("a?", "a*", False), ("?", "*", False), ("ab*", "a*", False),
        ("*-alpha", "prod-alpha", True), ("a*b", "a*b", True), ("*a*b*", "*aab", True), ("?*", "*?", True),
        ("a?*", "a*", False), ("*b", "a*", False), ("**", "*", True), ("a.b", "axb", False), ("a", "?", False),
    ],
)  # fmt: skip
def test_covers(wide: str, narrow: str, does: bool) -> None:
    assert covers(wide, narrow) is does


@settings(deadline=None)
@given(st.text(alphabet="ab*?", max_size=6), st.text(alphabet="ab*?", max_size=6), st.text(alphabet="ab", max_size=6))
def test_what_is_covered_never_matches_alone(wide: str, narrow: str, text: str) -> None:
    def matches(pattern: str) -> bool:
        return re.fullmatch(pattern.replace("*", ".*").replace("?", "."), text) is not None

    if covers(wide, narrow) and matches(narrow):
        assert matches(wide)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}:|#abk", max_size=12))
def test_any_template_is_taken_apart_or_refused(text: str) -> None:
    try:
        entity = policy_of(f"strategies: {{a: keep, b: keep}}\n{key(json.dumps(text))}").tables[0].entities[0]
    except ConfigError:
        assert not text or set("{}") & set(text)
        return
    parts = entity.keys[0].templates[0].parts
    assert "".join(part for part in parts if isinstance(part, str)) == re.sub(r"\{[^}]*\}", "", text)
    assert sum(isinstance(part, StrategySpec) for part in parts) == text.count("{")


def plain(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def test_the_committed_schema_is_the_generated_one() -> None:
    committed = resources.files("downstage.config").joinpath("policy.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m downstage.config.policy_schema"


def test_the_schema_is_valid_and_accepts_what_loads() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert not list(Draft202012Validator(json_schema()).iter_errors(plain(SAMPLE)))


@pytest.mark.parametrize(
    "text",
    [
        SAMPLE.replace("tables:", "tabels:"),
        SAMPLE.replace("unknown: fail", "unknown: stop"),
        field("{emial: {}}"),
        field("{email: {}, phone: {}}"),
        field("{date_shift: {days: 0}}"),
        field("{pick: [a]}"),
        field("{hash: 3}"),
        field("5"),
        SAMPLE.replace("born: birthday", "email: phone"),
    ],
)
def test_the_schema_refuses_what_does_not_load(text: str) -> None:
    assert list(Draft202012Validator(json_schema()).iter_errors(plain(text)))


def test_every_setting_is_described() -> None:
    schema = json_schema()
    for name, model in [("PolicyFile", schema), *schema["$defs"].items()]:
        model = model["anyOf"][0] if "anyOf" in model else model
        assert model["description"], name
        for setting, how in model.get("properties", {}).items():
            assert how.get("description") or "$ref" in how, f"{name}.{setting}"


def test_a_draft_loads_and_says_what_was_found() -> None:
    text = draft_policy(
        [
            DraftEntity("app", "everything", (), (DraftRule("ssn", "drop", "by its name"),)),
            DraftEntity("app", "user", (("pk", "user|*"),), (DraftRule("contact.phones[*]", "phone", "a\nb: # c"),)),
            DraftEntity("app", "admin", (("pk", "user|*"), ("sk", "admin")), (DraftRule("nick", "name", doubt=True),)),
            DraftEntity("app", "", (), (DraftRule("**.born", "{date_shift: {days: 30}}", "dates " * 50),)),
            DraftEntity("empty", "thing"),
            DraftEntity("later", "doubtful", (), (DraftRule("nick", "name", doubt=True),)),
        ]
    )
    policy = policy_of(text)
    assert [found.table for found in policy.tables] == ["empty", "later", "app"]
    app = policy.tables[2]
    assert [entity.name for entity in app.entities] == ["admin", "user", "everything"]
    assert app.entities[1] == Entity("user", (("pk", "user|*"),), (), (rule("contact.phones[*]", "phone"),))
    assert app.entities[0].fields == ()
    assert app.fields == (rule("**.born", "date_shift", days=30),)
    assert "          contact.phones[*]: phone  # a b: # c\n" in text
    assert "        # fields:\n          # nick: name\n" in text
    assert max(map(len, text.splitlines())) < 150


def test_an_empty_draft_loads() -> None:
    assert policy_of(draft_policy([])) == Policy()


def test_a_draft_says_nothing_twice() -> None:
    twice = DraftRule("a", "email")
    with pytest.raises(ValueError, match="a path is drafted twice"):
        draft_policy([DraftEntity("app", "user", (), (twice, twice))])
    with pytest.raises(ValueError, match="an entity is drafted twice"):
        draft_policy([DraftEntity("app", "user"), DraftEntity("app", "user")])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4, unique=True),
    st.text(max_size=30),
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8)),
        max_size=3,
        unique_by=lambda x: x[0],
    ),
)
def test_whatever_the_names_are_a_draft_loads(names: list[str], comment: str, when: list[tuple[str, str]]) -> None:
    rules = tuple(DraftRule(show((Name(name),)), "email", comment) for name in names)
    (entity,) = policy_of(draft_policy([DraftEntity("app", "user", tuple(when), rules)])).tables[0].entities
    assert [found.path for found in entity.fields] == [(Name(name),) for name in names]
    assert entity.when == tuple(when)


def test_a_very_long_path_is_drafted_too() -> None:
    path = ".".join(["name" * 10] * 40)
    (found,) = policy_of(draft_policy([DraftEntity("app", "", (), (DraftRule(path, "email"),))])).tables[0].fields
    assert paths.show(found.path) == path


def test_every_example_of_the_documentation_loads(tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    policies = [example for example in examples if "\nmasking:" not in f"\n{example}"]
    assert len(policies) == 2
    for example in policies:
        whole = example if example.startswith("version:") else f"version: 1\n{example}"
        parse_policy(whole, "masking.yaml")
        assert not list(Draft202012Validator(json_schema()).iter_errors(plain(whole)))


def test_the_documentation_names_every_strategy_and_option() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \|", text.split("## Strategies")[1].split("\n## ")[0], re.MULTILINE)
    assert rows == list(StrategyForm.model_fields)
    for options in set(BUILT_IN.values()):
        for name, option in options.model_fields.items():
            assert f"`{option.alias or name}`" in text
