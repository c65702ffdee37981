"""The models: what they refuse and in which words; the JSON Schema that is made from them."""

from __future__ import annotations

import json
import string
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from ruamel.yaml import YAML

from downstage.config.example import template
from downstage.config.schema import Config, json_schema, schema_text
from downstage.errors import GuardRefused
from tests.unit.test_config_sample import SAMPLE, changed, read, refusal

TEST = "environments.test"
REFRESH = "environments.test.refresh"


def flag(text: str) -> str:
    return changed("- ssm: {name: /app/test/destination-table-version, value: alpha}", f"- {text}")


def attribute(text: str) -> str:
    return changed("set: {current: {S: alpha}}", f"set: {{current: {text}}}")


def sink(text: str) -> str:
    return changed('"u-{token}@{env}.example.com"', f'"{text}"')


def expect(text: str) -> str:
    return changed("\"entityName.S == 'Case'\"", json.dumps(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed("buckets:", "bukets:"), f"26:7: unknown key 'bukets' in {REFRESH}; did you mean 'buckets'?"),
        (changed("state:", "stat:"), "2:1: unknown key 'stat' at the top level; did you mean 'state'?"),
        (changed("deploy:", "before: {day: 1}\n      deploy:"), f"23:7: unknown key 'before' in {REFRESH}; known"),
        (changed("workers: 2", "turbo: {x: 1}"), "34:26: unknown key 'turbo' in engine; known keys: default, workers"),
        (
            changed("{clone: {}}", "{clone: {x: 1}}"),
            f"23:24: unknown key 'x' in {REFRESH}.deploy.clone; it has no keys",
        ),
        (changed("wipe: {tables", "wipe: {table"), f"22:14: unknown key 'table' in {REFRESH}.wipe; did you mean"),
        (
            changed("wipe: {tables", "wipe: {regions: [us-west-1], tables"),
            f"22:14: {REFRESH}.wipe.regions must name the environment's own region us-east-1 as well",
        ),
        (
            changed("wipe: {tables", "wipe: {regions: [west], tables"),
            f"22:24: {REFRESH}.wipe.regions[0] must be a region",
        ),
        (changed("version: 1", "version: 2"), "1:1: version must be 1"),
        (changed("version: 1\n", ""), "1:1: the configuration needs the key 'version'"),
        (changed("masking: {key", "masking: {k"), "33:1: masking needs the key 'key'"),
        (
            changed("    region: us-east-1\n    role: arn:aws:iam::2", "    role: arn:aws:iam::2"),
            f"13:3: {TEST} needs the key 'region'",
        ),
        (
            changed('"222222222222"', "222222222222"),
            f"14:5: {TEST}.account must be text: put the account id in quotes, YAML drops leading zeros",
        ),
        (changed('"222222222222"', "012345678901"), f"14:5: {TEST}.account must be text: put the account id in quotes"),
        (
            changed('"222222222222"', '"22222222222"'),
            f"14:5: {TEST}.account must be an account id: 12 digits in quotes",
        ),
        (changed('"222222222222"', '"٢٢٢٢٢٢٢٢٢٢٢٢"'), f"14:5: {TEST}.account must be an account id"),
        (changed("region: us-east-1", "region: hunter2"), "6:5: environments.prod.region must be a region such as"),
        (
            changed("region: us-east-1", "region: 5"),
            "6:5: environments.prod.region must be text; put the value in quotes",
        ),
        (changed("region: us-east-1", "region:"), "6:5: environments.prod.region is empty; write a value, or remove"),
        (
            changed("iam::222222222222:role/downstage-write", "iam::2:hunter2"),
            f"16:5: {TEST}.role must be a role such as",
        ),
        (
            changed("iam::222222222222:role", "iam::333333333333:role"),
            f"16:5: {TEST}.role is a role of another account",
        ),
        (changed("protected: true", "protected: yes"), "12:5: environments.prod.protected must be true or false"),
        (changed("protected: true", "protected: 1"), "12:5: environments.prod.protected must be true or false"),
        (changed("profile: sandbox", "profile: ''"), "8:5: environments.prod.profile must not be empty"),
        (
            changed("http://127.0.0.1:4566", "http://aws.acme.com"),
            "10:5: environments.prod.endpoint must be https: http is accepted only for this machine",
        ),
        (
            changed("http://127.0.0.1:4566", "http://127.0.0.1.acme.com"),
            "10:5: environments.prod.endpoint must be https",
        ),
        (
            changed("http://127.0.0.1:4566", "https://u:hunter2@acme.com"),
            "10:5: environments.prod.endpoint must not hold a user",
        ),
        (changed("http://127.0.0.1:4566", "ftp://acme.com"), "10:5: environments.prod.endpoint must be an http:// or"),
        (
            changed("http://127.0.0.1:4566", "'https://[hunter2'"),
            "10:5: environments.prod.endpoint must be an http:// or",
        ),
        (
            changed("http://127.0.0.1:4566", "https://acme.com:99999"),
            "10:5: environments.prod.endpoint must be an http",
        ),
        (
            changed("http://127.0.0.1:4566", "https://acme.com?a=b"),
            "10:5: environments.prod.endpoint must not hold '?'",
        ),
        (
            changed("http://127.0.0.1:9200", "http://10.0.0.1"),
            "11:24: environments.prod.search_endpoints.efcms-search-prod-alpha must be https",
        ),
        (
            changed("prod:", "Prod_1:").replace("from: prod", "from: test"),
            "4:3: environments.Prod_1 must be a name of 1 to 32",
        ),
        (
            changed("from: prod", "from: prdo"),
            f"18:7: {REFRESH}.from names the environment 'prdo', which is not there; did you mean 'prod'?",
        ),
        (
            changed("from: prod", "from: xyz"),
            f"18:7: {REFRESH}.from names the environment 'xyz', which is not there; known environments: prod, test",
        ),
        (changed("from: prod", "from: test"), f"18:7: {REFRESH}.from names the environment itself"),
        (
            changed("    refresh:", "    protected: true\n    refresh:"),
            f"18:5: {REFRESH} must not be there: the environment is protected",
        ),
        (flag("{}"), f"21:11: {REFRESH}.flags[1] must hold exactly one of 'dynamodb' and 'ssm'"),
        (
            flag("{ssm: {name: a, value: b}, dynamodb: {table: abc, key: {a: {S: b}}, set: {c: {S: d}}}}"),
            f"21:11: {REFRESH}.flags[1] must hold exactly one of",
        ),
        (flag("hello"), f"21:11: {REFRESH}.flags[1] must be a mapping of keys to values"),
        (changed("key: {pk: {S: a}, sk: {S: a}}", "key: {}"), f"{REFRESH}.flags[0].dynamodb.key must not be empty"),
        (
            changed("key: {pk: {S: a}, sk", "key: {x: {S: a}, pk: {S: a}, sk"),
            f"{REFRESH}.flags[0].dynamodb.key must hold at most 2",
        ),
        (
            changed("pk: {S: a}", "pk: {BOOL: true}"),
            f"{REFRESH}.flags[0].dynamodb.key.pk is a key attribute: its type must be S, N or B",
        ),
        (
            changed("pk: {S: a}", "pk: {S: ''}"),
            f"{REFRESH}.flags[0].dynamodb.key.pk is a key attribute: it must not be empty",
        ),
        (
            changed("{clone: {}}", "{clone: }"),
            f"23:7: {REFRESH}.deploy must hold exactly one of clone, circleci, github, command, for example 'clone:",
        ),
        (
            changed("to: efcms-test-alpha}", "to: 'arn:aws:dynamodb:us-east-1:111111111111:table/app'}"),
            f"{REFRESH}.tables[0].to must be a table's name, not its ARN",
        ),
        (
            changed("{clone: {}}", "{clone: {}, command: {run: [make]}}"),
            f"23:7: {REFRESH}.deploy must hold exactly one of",
        ),
        (
            changed("efcms-prod-alpha, to: efcms-test-alpha}", "efcms-prod-alpha, to: aaa}, {from: bbb, to: aaa}"),
            f"{REFRESH}.tables[1].to is a target table of 'test' already; each is loaded once",
        ),
        (
            changed("to: efcms-documents-test", "to: efcms-documents-prod"),
            f"26:46: {REFRESH}.buckets[0].to is the source bucket itself",
        ),
        (
            changed("tables: [{from", "tables: {from").replace(
                "efcms-test-alpha}]\n      b", "efcms-test-alpha}\n      b"
            ),
            f"25:7: {REFRESH}.tables must be a list",
        ),
        (
            changed("patience: 15m", "patience: 15"),
            f"{REFRESH}.search.patience must be a duration such as 90s, 15m or 2h",
        ),
        (changed("patience: 15m", "patience: 0s"), f"{REFRESH}.search.patience must be a duration"),
        (changed('"{pk}_{sk}"', '"pk"'), f"{REFRESH}.search.id must name at least one attribute"),
        (changed('"{pk}_{sk}"', '"{pk}_{}"'), f"{REFRESH}.search.id must hold attribute names in braces"),
        (changed('"{pk}_{sk}"', '"{pk"'), f"{REFRESH}.search.id must hold attribute names in braces"),
        (expect("foo["), f"32:18: {REFRESH}.search.expect.efcms-case is not a JMESPath expression (at character 5)"),
        (expect("a.b == 'hunter2"), f"{REFRESH}.search.expect.efcms-case is not a JMESPath expression (at character"),
        (expect("a ^ b"), f"{REFRESH}.search.expect.efcms-case is not a JMESPath expression (at character"),
        (expect(""), f"{REFRESH}.search.expect.efcms-case is not a JMESPath expression (it is empty)"),
        (expect("hunter2(a)"), f"{REFRESH}.search.expect.efcms-case calls a function that JMESPath does not have"),
        (expect("length(a, b)"), f"{REFRESH}.search.expect.efcms-case calls a function"),
        (
            changed("default: local", "default: sparkle"),
            "34:10: engine.default must be 'local', 'serial', 'spark' or 'glue'",
        ),
        (changed("workers: 2", "workers: 0"), "34:26: engine.workers must be at least 1"),
        (changed("workers: 2", "workers: 10000"), "34:26: engine.workers must be at most 4096"),
        (changed("workers: 2", "workers: 2.0"), "34:26: engine.workers must be a whole number"),
        (changed("workers: 2", "segments: true"), "34:26: engine.segments must be a whole number"),
        (changed("engine: {default: local, workers: 2}", "engine:"), "34:1: engine is empty; write a value"),
        (changed("engine: {default: local, workers: 2}", "engine: []"), "34:1: engine must be a mapping"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    shown = refusal(tmp_path, text)
    assert message in shown.splitlines()[0]
    assert shown.startswith("downstage.yaml:")
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "reference",
    [
        "hunter2hunter2hunter2", "env:hunter2-x", "env:", "file:", "ssm: hunter2", "base64:hunter2", "12345",
        "ENV:HUNTER2", "hunter2 env:NAME",
    ],
)  # fmt: skip
def test_a_key_in_the_file_is_refused_and_not_shown(tmp_path: Path, reference: str) -> None:
    shown = refusal(tmp_path, changed("file:mask.key", reference))
    assert shown == (
        "downstage.yaml:33:11: masking.key must be a reference: env:NAME, file:PATH, secretsmanager:ID or ssm:NAME; "
        "the key itself never stands in the configuration"
    )


@pytest.mark.parametrize("reference", ["env:MASK_KEY", "file:/etc/key", "secretsmanager:a/b", "ssm:/a/b"])
def test_key_references(tmp_path: Path, reference: str) -> None:
    assert read(tmp_path, changed("file:mask.key", reference)).config.masking.key == reference


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u@{env}.example.com", "must hold '{token}' exactly once"),
        ("{token}{token}@example.com", "must hold '{token}' exactly once"),
        ("{token}@{who}.example.com", "may hold no placeholder but '{token}' and '{env}'"),
        ("{token}.example.com", "must be one address: exactly one '@'"),
        ("{token}@a@example.com", "must be one address: exactly one '@'"),
        ("u@{token}.example.com", "must hold '{token}' before the '@'"),
        ("U-{token}@example.com", "must be a plain lower-case address"),
        ("u {token}@example.com", "must be a plain lower-case address"),
        ("u.{token}.@example.com", "must be a plain lower-case address"),
        ("{token}@localhost", "must have a lower-case host name with a dot"),
        ("{token}@Example.com", "must have a lower-case host name with a dot"),
        ("{token}@acme.com", "must be at a domain where no person reads mail"),
        ("{token}@x.{env}", "must be at a domain where no person reads mail"),
        ("{token}@badexample.com", "must be at a domain where no person reads mail"),
        ("{token}@a.simulator.amazonses.com", "must be at a domain where no person reads mail"),
        ("{token}" + "a" * 33 + "@example.com", "is too long for an address"),
        ("{token}@" + "a" * 64 + ".example.com", "is too long for an address"),
    ],
)
def test_sinks_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    shown = refusal(tmp_path, sink(text))
    assert shown.startswith(f"downstage.yaml:33:33: masking.sink {message}")


@pytest.mark.parametrize(
    "text",
    [
        "{token}@example.com", "u+{token}@{env}.mail.example.org", "{env}.{token}@x.test", "{token}@a.invalid",
        "{token}@{env}.a.example", "success+{token}@simulator.amazonses.com",
    ],
)  # fmt: skip
def test_sinks(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, sink(text)).config.masking.sink == text


def test_a_sink_at_a_domain_of_ours(tmp_path: Path) -> None:
    text = sink("{token}@{env}.Masked.acme.com".lower()).replace("keep:", "owned_domains: [Masked.acme.com], keep:")
    assert read(tmp_path, text).config.masking.owned_domains == ("Masked.acme.com",)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("domains: ['*.acme.com']", "masking.keep.domains[0] must be a domain such as acme.com"),
        ("domains: [acme.com, '@acme.com']", "masking.keep.domains[1] must be a domain"),
        ("domains: [münchen.de]", "masking.keep.domains[0] must be a domain"),
        ("domains: [Test.Example.com]", "masking.keep.domains[0] is the sink's own domain"),
        ("addresses: [acme.com]", "masking.keep.addresses[0] must be one e-mail address"),
        ("addresses: ['@acme.com']", "masking.keep.addresses[0] must be one e-mail address"),
    ],
)
def test_keep_lists_that_are_refused(tmp_path: Path, keep: str, message: str) -> None:
    assert message in refusal(tmp_path, changed("keep: {domains: [], addresses: []}", f"keep: {{{keep}}}"))


def test_owned_domains_must_be_domains(tmp_path: Path) -> None:
    shown = refusal(tmp_path, changed("keep:", "owned_domains: [com], keep:"))
    assert "masking.owned_domains[0] must be a domain such as masked.acme.com" in shown


@pytest.mark.parametrize(
    "text",
    [
        "{S: ''}", '{N: "-1.5e3"}', "{B: aGk=}", "{BOOL: false}", "{NULL: true}", "{SS: [a, b]}", '{NS: ["1"]}',
        "{BS: [aGk=]}", "{L: []}", "{L: [{S: a}, {M: {}}]}", "{M: {a: {L: [{NULL: true}]}}}",
    ],
)  # fmt: skip
def test_typed_values(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, attribute(text)).config.version == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{S: 1}", "S holds text in quotes"),
        ("{N: 1}", "N holds a number in quotes"),
        ("{N: hunter2}", "N holds a number in quotes"),
        ("{B: hunter2}", "B holds base64 text"),
        ("{BOOL: 'true'}", "BOOL holds true or false"),
        ("{NULL: false}", "NULL holds true"),
        ("{SS: []}", "SS holds a list of different texts"),
        ("{SS: [a, a]}", "SS holds a list of different texts"),
        ("{NS: [1]}", "NS holds a list of different numbers"),
        ("{L: {}}", "L holds a list of typed values"),
        ("{M: []}", "M holds a mapping of names to typed values"),
        ("{L: [{S: a}, {Q: hunter2}]}", "(in L, element 1): one of S, N, B"),
        ("{M: {hunter2: {S: 1}}}", "(in M): S holds text"),
        ("{S: a, N: '1'}", "one of S, N, B"),
        ("{}", "one of S, N, B"),
    ],
)
def test_typed_values_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    shown = refusal(tmp_path, attribute(text))
    assert f"{REFRESH}.flags[0].dynamodb.set.current must be typed DynamoDB JSON" in shown
    assert message in shown
    assert "hunter2" not in shown


def test_two_environments_do_not_share_a_target(tmp_path: Path) -> None:
    start = SAMPLE.index("  test:\n")
    stanza = SAMPLE[start : SAMPLE.index("masking:")]
    text = SAMPLE.replace("masking:", stanza.replace("  test:\n", "  staging:\n", 1) + "masking:", 1)
    shown = refusal(tmp_path, text).splitlines()
    assert len(shown) == 2
    assert "environments.staging.refresh.tables[0].to is a target table of 'test' already" in shown[0]
    assert "environments.staging.refresh.buckets[0].to is a target bucket of 'test' already" in shown[1]


def test_one_account_does_not_copy_a_table_onto_itself(tmp_path: Path) -> None:
    text = SAMPLE.replace("222222222222", "111111111111").replace("efcms-test-alpha}]", "efcms-prod-alpha}]")
    text = text.replace("domain: efcms-search-test-alpha", "domain: efcms-search-prod-alpha")
    shown = refusal(tmp_path, text)
    assert f"{REFRESH}.tables[0].to is the source table itself" in shown
    assert f"{REFRESH}.search.domain is the source domain itself" in shown


def test_what_would_write_to_production_is_refused_as_a_guard_would(tmp_path: Path) -> None:
    for text in (
        changed("protected: true", "protected: false").replace("    refresh:", "    protected: true\n    refresh:"),
        SAMPLE.replace("222222222222", "111111111111").replace("efcms-test-alpha}]", "efcms-prod-alpha}]"),
        changed("to: efcms-documents-test", "to: efcms-documents-prod"),
    ):
        with pytest.raises(GuardRefused) as caught:
            read(tmp_path, text)
        assert caught.value.exit_code == 3


def test_all_problems_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed("workers: 2", "workers: x").replace("state:", "stat:").replace('"222222222222"', "222222222222")
    lines = refusal(tmp_path, text).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "14", "34"]


def test_twenty_lines_at_most(tmp_path: Path) -> None:
    lines = refusal(tmp_path, SAMPLE + "".join(f"k{n}: 1\n" for n in range(30))).splitlines()
    assert len(lines) == 20
    assert lines[-1] == "and 11 more problems"


def test_a_key_that_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    secret = "hunter2" * 8
    shown = refusal(tmp_path, changed("keep:", f"{secret}: 1, keep:"))
    assert "unknown key (not shown) in masking" in shown
    assert "hunter2" not in shown


def test_models_are_frozen_and_hide_their_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"version": "hunter2"})
    assert "hunter2" not in str(caught.value)


@settings(deadline=None)
@given(secret=st.text(alphabet=string.ascii_letters + string.digits, min_size=24, max_size=40))
def test_no_literal_key_is_accepted_or_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"version": 1, "environments": {}, "masking": {"key": secret}})
    assert secret not in str(caught.value)


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def test_the_committed_schema_is_the_generated_one() -> None:
    committed = resources.files("downstage.config").joinpath("schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m downstage.config.schema"


@pytest.mark.parametrize("text", [SAMPLE, template()])
def test_the_schema_is_valid_and_accepts_what_loads(text: str) -> None:
    Draft202012Validator.check_schema(json_schema())
    assert not list(Draft202012Validator(json_schema()).iter_errors(plain(text)))


@pytest.mark.parametrize(
    "text",
    [
        changed("buckets:", "bukets:"),
        changed('"222222222222"', "222222222222"),
        changed('"file:mask.key"', "hunter2"),
        changed("{clone: {}}", "{clone: {}, github: {}}"),
        changed("prod:", "Prod:"),
        changed("{S: alpha}", "{Q: alpha}"),
        changed("patience: 15m", "patience: 15"),
        changed("http://127.0.0.1:4566", "ftp://a"),
    ],
)
def test_the_schema_refuses_what_does_not_load(text: str) -> None:
    assert list(Draft202012Validator(json_schema()).iter_errors(plain(text)))


def test_every_setting_is_described() -> None:
    schema = json_schema()
    for name, model in [("Config", schema), *schema["$defs"].items()]:
        assert model["description"], name
        for key, setting in model.get("properties", {}).items():
            assert setting.get("description") or "$ref" in setting, f"{name}.{key}"
