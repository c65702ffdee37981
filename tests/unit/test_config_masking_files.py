"""From `downstage.yaml` to the policy, the lock, the old keys and the sink: found, checked together, and planned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from downstage.config.masking_files import lock_of
from downstage.domain.paths import parse
from downstage.domain.policy import FieldRule, LockedTable, Policy, SchemaLock, StrategySpec, TablePolicy
from downstage.planning.build import build_plan
from tests.unit.test_config_sample import SAMPLE, changed, read, refusal

DOCS = Path(__file__).parents[2] / "docs" / "masking-policy.md"
POLICY = "version: 1\nkeep: {domains: [Acme.com]}\ntables: {app: {fields: {ssn: drop}}}\n"
LOCK = "version: 1\ntables: {app: {ssn: S}}\n"
PARSED = Policy((TablePolicy("app", (), (FieldRule("ssn", parse("ssn"), StrategySpec("drop")),)),))
LOCKED = SchemaLock((LockedTable("app", ((parse("ssn"), ("S",)),)),))


def masking(more: str) -> str:
    """The sample with further settings of masking; they start at column 11 of line 33."""
    return changed("masking: {key", f"masking: {{{more}, key")


def test_without_a_policy_there_is_an_empty_one(tmp_path: Path) -> None:
    files = read(tmp_path, SAMPLE).masking_files
    assert (files.policy, files.policy_path, files.lock) == (Policy(), None, None)
    assert files.lock_path == tmp_path / "masking.lock"


def test_a_policy_and_the_lock_beside_it(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "masking.yaml").write_text(POLICY)
    (tmp_path / "masking.lock").write_text("not the one that is read")
    files = read(tmp_path, masking("policy: rules/masking.yaml")).masking_files
    assert (files.policy, files.lock) == (PARSED, None)
    (tmp_path / "rules" / "masking.lock").write_text(LOCK)
    loaded = read(tmp_path, masking("policy: rules/masking.yaml"))
    assert loaded.masking_files.lock == LOCKED
    assert loaded.masking_files.policy_path == tmp_path / "rules" / "masking.yaml"
    for files_given in (loaded.masking_files, None):
        plan = build_plan(loaded.config, "test", base=loaded.base, files=files_given).masking
        assert (plan.policy, plan.lock, plan.keep_domains, plan.unknown) == (PARSED, LOCKED, ("acme.com",), "fail")


def test_a_lock_without_a_policy_and_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "masking.lock").write_text(LOCK)
    assert read(tmp_path, SAMPLE).masking_files.lock == LOCKED
    (tmp_path / "other.lock").write_text("version: 1\ntables: {}\n")
    loaded = read(tmp_path, masking("lock: other.lock"))
    assert loaded.masking_files.lock == SchemaLock()
    assert lock_of(loaded.config.masking, loaded.base) == tmp_path / "other.lock"


def test_named_files_must_be_there(tmp_path: Path) -> None:
    lines = refusal(tmp_path, masking("policy: hunter2.yaml, lock: hunter2.lock")).splitlines()
    assert lines == [
        "downstage.yaml:33:11: masking.policy names a file that is not there; 'downstage discover' writes a draft of "
        "one",
        "downstage.yaml:33:33: masking.lock names a file that is not there; 'downstage discover' writes one, or remove "
        "the key: masking.lock beside the policy is found without it",
    ]


def test_errors_in_the_files_have_their_place_there(tmp_path: Path) -> None:
    (tmp_path / "masking.yaml").write_text(POLICY.replace("drop", "drpo"))
    shown = refusal(tmp_path, masking("policy: masking.yaml"))
    assert shown.startswith("masking.yaml:3:25: tables.app.fields.ssn names the strategy 'drpo'")
    (tmp_path / "masking.yaml").write_text(POLICY)
    (tmp_path / "masking.lock").write_text(LOCK.replace(": S", ": X"))
    assert refusal(tmp_path, masking("policy: masking.yaml")).startswith("masking.lock:2:16: tables.app.ssn must be")


def test_keep_lists_stand_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "masking.yaml").write_text(POLICY)
    text = masking("policy: masking.yaml").replace("keep: {domains: []", "keep: {domains: [b.com]")
    assert refusal(tmp_path, text) == (
        "masking.yaml:2:1: keep stands here, and 'masking.keep' in the configuration; move all to one place"
    )
    (tmp_path / "masking.yaml").write_text("version: 1\n")
    assert read(tmp_path, text).masking_files.keep.domains == ("b.com",)


def test_the_policy_may_not_keep_the_sink(tmp_path: Path) -> None:
    (tmp_path / "masking.yaml").write_text(POLICY.replace("Acme.com", "test.example.com"))
    shown = refusal(tmp_path, masking("policy: masking.yaml"))
    assert shown.startswith("masking.yaml:2:18: keep.domains[0] is the sink's own domain")


def test_old_keys_are_planned_like_the_key(tmp_path: Path) -> None:
    loaded = read(tmp_path, masking("old_keys: ['file:old.key', 'env:OLDER']"))
    plan = build_plan(loaded.config, "test", base=loaded.base)
    assert plan.masking.old_keys == (f"file:{tmp_path / 'old.key'}", "env:OLDER")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("'file:mask.key'", "masking.old_keys[0] is the same reference as masking.key; an old key is one that"),
        ("'file:./mask.key'", "masking.old_keys[0] is the same reference as masking.key"),
        ("'env:A', 'env:B', 'env:A'", "masking.old_keys[2] is the same reference as masking.old_keys[0]"),
        ("hunter2hunter2", "masking.old_keys[0] must be a reference: env:NAME"),
    ],
)
def test_old_keys_that_are_refused(tmp_path: Path, keys: str, message: str) -> None:
    shown = refusal(tmp_path, masking(f"old_keys: [{keys}]"))
    assert message in shown
    assert "hunter2" not in shown


def test_the_ses_simulator_has_a_short_name(tmp_path: Path) -> None:
    loaded = read(tmp_path, changed('"u-{token}@{env}.example.com"', "ses-simulator"))
    assert loaded.config.masking.sink == "success+{token}@simulator.amazonses.com"


@pytest.mark.parametrize("label", ["success+", "bounce+", "complaint+"])
def test_the_simulators_labels(tmp_path: Path, label: str) -> None:
    text = changed("u-{token}@{env}.example.com", f"{label}{{token}}@simulator.amazonses.com")
    assert read(tmp_path, text).config.masking.sink.startswith(label)


@pytest.mark.parametrize("local", ["{token}", "u-{token}", "successful-{token}", "x+success+{token}"])
def test_the_simulator_knows_no_other_names(tmp_path: Path, local: str) -> None:
    shown = refusal(tmp_path, changed("u-{token}@{env}.example.com", f"{local}@simulator.amazonses.com"))
    assert "masking.sink must start with success+, bounce+ or complaint+ at simulator.amazonses.com" in shown


def test_an_address_has_254_characters_at_most(tmp_path: Path) -> None:
    host = ".".join(["a" * 50] * 4)
    rest = 254 - len("t" * 32 + "@." + host + ".test")
    longest = changed("u-{token}@{env}.example.com", f"{{token}}@{'b' * rest}.{host}.test")
    assert read(tmp_path, longest).config.version == 1
    shown = refusal(tmp_path, longest.replace("@b", "@bb"))
    assert "masking.sink is too long for an address (64 characters before the '@', 254 in all) in 'prod'" in shown


def test_every_masking_stanza_of_the_documentation_loads(tmp_path: Path) -> None:
    (tmp_path / "masking.yaml").write_text(POLICY)
    (tmp_path / "masking.lock").write_text(LOCK)
    examples = re.findall(r"```yaml\n(masking:\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        read(tmp_path, SAMPLE[: SAMPLE.index("masking:")] + example)
