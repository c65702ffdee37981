"""Loading: files that cannot be read, YAML that cannot be parsed, layers and origins, interpolation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from downstage.config.document import parse
from downstage.config.example import template
from downstage.config.load import load
from downstage.errors import ConfigError
from tests.unit.test_config_sample import SAMPLE, changed, read, refusal

MINIMAL = """\
version: 1
environments: {prod: {account: "111111111111", region: eu-central-1}}
masking: {key: env:MASK_KEY}
"""


def test_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL).config
    assert config.state == ".downstage"
    assert config.masking.sink == "u-{token}@{env}.example.com"
    assert (config.engine.default, config.engine.workers, config.engine.segments) == ("local", 2, None)
    assert not config.environments["prod"].protected


def test_the_template_loads(tmp_path: Path) -> None:
    config = read(tmp_path, template()).config
    assert config.environments["prod"].protected
    assert config.environments["test"].refresh is not None


def test_the_commented_parts_of_the_template_load_too(tmp_path: Path) -> None:
    lines = []
    for line in template().splitlines():
        bare = line.lstrip()
        is_setting = bare.startswith(
            ("# flags:", "#   ", "# streams:", "# buckets:", "# search:", "# domains:", "# policy:", "# old_keys:")
        )
        lines.append(line.replace("# ", "", 1) if is_setting else line)
    (tmp_path / "masking.yaml").write_text("version: 1\n")
    config = read(tmp_path, "\n".join(lines)).config
    assert config.masking.policy == "masking.yaml"
    assert len(config.masking.old_keys) == 1
    refresh = config.environments["test"].refresh
    assert refresh is not None
    assert (len(refresh.flags), len(refresh.buckets)) == (2, 1)
    assert refresh.streams is not None
    assert refresh.search is not None
    assert refresh.wipe is not None
    assert refresh.wipe.domains


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "downstage.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert str(caught.value) == (
        f"no configuration at {path}: write one with 'downstage init', or name it with --config"
    )
    assert caught.value.exit_code == 2


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path, environ={})


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match="may not be read"):
        load(tmp_path / "downstage.yaml", environ={})


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "a\0b", environ={})
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be read: Not a directory"):
        load(tmp_path / "file" / "downstage.yaml", environ={})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"version: 1\nstate: \xff\xfe\n", "downstage.yaml:2: is not UTF-8 text; save the file as UTF-8"),
        (b"", "downstage.yaml: is empty; 'downstage init' writes a configuration to start from"),
        (b"# only a comment\n", "downstage.yaml: is empty; 'downstage init' writes"),
        (b"a: 1\nb: \x01\n", "downstage.yaml:2: holds a control character"),
        (b"- a\n", "downstage.yaml:1:1: must be a mapping of keys to values"),
        (b"hello\n", "downstage.yaml:1:1: must be a mapping of keys to values"),
        (b"x" * 1_000_001, "downstage.yaml: is larger than"),
        (b"a: " + b"[" * 5000, "downstage.yaml: is nested too deeply"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "downstage.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    shown = str(caught.value).replace(f"{tmp_path}/", "")
    assert shown.startswith(message)
    assert "\n" not in shown


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "downstage.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(path, environ={}).config.version == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1\n", "x.yaml:3:1: not valid YAML: a '[' or '{' is not closed, or a ',' is missing"),
        ("a:\n\t- b\n", "x.yaml:2:1: not valid YAML: a tab is used for indentation; use spaces"),
        ("a: b: c\n", "x.yaml:1:5: not valid YAML: a ':' stands where none can be"),
        ("a: 'x\n", "x.yaml:2:1: not valid YAML: a quoted text has no closing quote"),
        ("a: @x\n", "x.yaml:1:4: not valid YAML: a value starts with a character that YAML reserves"),
        ("a: *hunter2\n", "x.yaml:1:4: not valid YAML: an alias"),
        ('a: "\\q"\n', "x.yaml:1:6: not valid YAML: a double-quoted text holds an unknown"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2:1: not valid YAML: the file holds more than one document"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: key 'a' stands here a second time (first: line 1)"),
        ("a: 1\nb: {c: 1, c: 2}\n", "x.yaml:2:11: key 'c' stands here a second time"),
        ("a: !!python/object:os.system x\n", "x.yaml:1:4: tags ('!') are not supported"),
        ("a: !hunter2 {b: 1}\n", "x.yaml:1:4: tags ('!') are not supported"),
        ("a: !hunter2 [b]\n", "x.yaml:1:4: tags ('!') are not supported"),
        ("a: !!int hunter2\n", "x.yaml:1:4: is not a number"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "x.yaml:2:5: merge keys ('<<') are not supported"),
        ("? [a]\n: 1\n", "x.yaml:1:3: a key must be plain text"),
        ("a: &x [*x]\n", "x.yaml: is nested too deeply"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{n}: &{n} [{','.join(10 * ['*' + p])}]\n" for p, n in zip("abcde", "bcdef", strict=True)),
            "x.yaml: holds more than",
        ),
    ],
)
def test_malformed_yaml(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "x.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_values_are_those_of_yaml_1_2_and_keys_are_text() -> None:
    text = "a: 012\nb: 0x1F\nc: 1.5\nd: no\ne: true\nf: ~\ng: 2020-01-01\nNULL: x\n7: y\nN: &n z\nh: *n\ni: 1_000\n"
    assert parse(text, "x.yaml").values == {
        "a": 12, "b": 31, "c": 1.5, "d": "no", "e": True, "f": None, "g": "2020-01-01",
        "NULL": "x", "7": "y", "N": "z", "h": "z", "i": 1000,
    }  # fmt: skip


def test_origins(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        SAMPLE,
        {"DOWNSTAGE__ENGINE__WORKERS": "4", "DOWNSTAGE__STATE": "elsewhere"},
        {"state": "nearby", "engine.segments": 8},
    )
    assert loaded.config.engine.workers == 4
    assert loaded.config.engine.segments == 8
    assert loaded.config.state == "nearby"
    assert loaded.origin("engine.default") == f"{tmp_path}/downstage.yaml:34"
    assert loaded.origin("engine.workers") == "environment variable DOWNSTAGE__ENGINE__WORKERS"
    assert loaded.origin("engine.segments") == "command line"
    assert loaded.origin("state") == "command line"
    assert loaded.origin("masking.owned_domains") == "default"
    assert loaded.origin("environments.test.refresh.tables.0.to") == f"{tmp_path}/downstage.yaml:25"
    assert loaded.origin(("environments", "prod", "region")) == f"{tmp_path}/downstage.yaml:6"
    with pytest.raises(KeyError):
        loaded.origin("engine.wrokers")
    with pytest.raises(KeyError):
        loaded.origin("engine.workers.deeper")


def test_the_origin_is_the_file_as_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "downstage.yaml").write_text(MINIMAL)
    loaded = load(Path("downstage.yaml"), environ={})
    assert loaded.origin("version") == "downstage.yaml:1"
    assert loaded.base == tmp_path


def test_environment_variables_find_names_without_regard_to_case_and_dashes(tmp_path: Path) -> None:
    text = SAMPLE.replace("  test:", "  test-east:")
    loaded = read(
        tmp_path,
        text,
        {
            "DOWNSTAGE__environments__Test_East__REGION": "us-west-1",
            "DOWNSTAGE__ENVIRONMENTS__PROD__PROTECTED": "TRUE",
            "DOWNSTAGE__ENVIRONMENTS__TEST_EAST__REFRESH__TABLES__0__TO": "efcms-test-beta",
            "DOWNSTAGE__ENVIRONMENTS__NEW__ACCOUNT": "333333333333",
            "DOWNSTAGE__ENVIRONMENTS__NEW__REGION": "us-east-2",
            "DOWNSTAGE_OTHER": "not ours",
        },
    )
    test = loaded.config.environments["test-east"]
    assert test.region == "us-west-1"
    assert test.refresh is not None
    assert test.refresh.tables[0].target == "efcms-test-beta"
    assert loaded.config.environments["new"].account == "333333333333"


def test_a_whole_list_from_the_command_line(tmp_path: Path) -> None:
    loaded = read(tmp_path, SAMPLE, overrides={"masking.keep": {"domains": ["acme.com"]}, "engine": {"workers": 3}})
    assert loaded.config.masking.keep.domains == ("acme.com",)
    assert loaded.origin("masking.keep.domains.0") == "command line"
    assert loaded.config.engine.workers == 3
    assert loaded.origin("engine.default") == "default"


@pytest.mark.parametrize(
    ("environ", "overrides", "message"),
    [
        (
            {"DOWNSTAGE__ENGINE__WORKERS": "hunter2"},
            {},
            "environment variable DOWNSTAGE__ENGINE__WORKERS: engine.workers must be a whole number",
        ),
        (
            {"DOWNSTAGE__ENGIN__WORKERS": "2"},
            {},
            "environment variable DOWNSTAGE__ENGIN__WORKERS: unknown key 'engin' at the top level; "
            "did you mean 'engine'?",
        ),
        ({}, {"engine.defalt": "x"}, "command line: unknown key 'defalt' in engine; did you mean 'default'?"),
        ({}, {"engine.workers": True}, "command line: engine.workers must be a whole number"),
        (
            {"DOWNSTAGE__STATE__X": "2"},
            {},
            "environment variable DOWNSTAGE__STATE__X: state is a single value and has nothing below it",
        ),
        ({"DOWNSTAGE__": "2"}, {}, "environment variable DOWNSTAGE__: is not a path to a setting"),
        (
            {"DOWNSTAGE__ENVIRONMENTS__TEST__REFRESH__TABLES__7__TO": "x"},
            {},
            "environment variable DOWNSTAGE__ENVIRONMENTS__TEST__REFRESH__TABLES__7__TO: '7' is not an element",
        ),
        (
            {"DOWNSTAGE__MASKING__OWNED_DOMAINS": "hunter2.com"},
            {},
            "environment variable DOWNSTAGE__MASKING__OWNED_DOMAINS: masking.owned_domains must be a list",
        ),
        (
            {"DOWNSTAGE__MASKING__KEY": "hunter2"},
            {},
            "environment variable DOWNSTAGE__MASKING__KEY: masking.key must be a reference",
        ),
    ],
)
def test_errors_name_the_layer(
    tmp_path: Path, environ: dict[str, str], overrides: dict[str, object], message: str
) -> None:
    shown = refusal(tmp_path, SAMPLE, environ, overrides)
    assert shown.startswith(message)
    assert "hunter2" not in shown


def test_interpolation(tmp_path: Path) -> None:
    text = changed("value: alpha", "value: '${COLOUR}-$${COLOUR}-${flags.dynamodb.current}'").replace(
        "workers: 2", 'workers: "${WORKERS}"'
    )
    config = read(tmp_path, text, {"COLOUR": "beta", "WORKERS": "7"}).config
    refresh = config.environments["test"].refresh
    assert refresh is not None
    assert refresh.flags[1].ssm is not None
    assert refresh.flags[1].ssm.value == "beta-${COLOUR}-${flags.dynamodb.current}"
    assert config.engine.workers == 7


def test_what_is_put_in_is_not_looked_at_again(tmp_path: Path) -> None:
    config = read(tmp_path, changed("state: state", "state: ${A}"), {"A": "${B}: {x}"}).config
    assert config.state == "${B}: {x}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${NOWHERE}", "downstage.yaml:2:8: the environment variable NOWHERE is not set; set it"),
        ("a${", "downstage.yaml:2:8: '${' must be followed by a variable's name"),
        ("'${A:-hunter2}'", "downstage.yaml:2:8: '${' must be followed by a variable's name"),
        ("'${}'", "downstage.yaml:2:8: '${' must be followed by a variable's name"),
    ],
)
def test_interpolation_errors(tmp_path: Path, value: str, message: str) -> None:
    shown = refusal(tmp_path, changed("state: state", f"state: {value}"))
    assert shown.startswith(message)
    assert "hunter2" not in shown


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,?~ \n\t0123\\<=."), max_size=60))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    message = "x.yaml"
    try:
        parse(text, "x.yaml")
    except ConfigError as error:
        message = str(error)
    assert message.startswith("x.yaml")
    assert "\n" not in message
