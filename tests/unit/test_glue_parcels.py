"""Parcels open only for whom they were made, and the job's script says in one line what is wrong with its arguments."""

from __future__ import annotations

import os

import pytest

from downstage.domain.environment import Environment
from downstage.engines.parcel import Work, pack, result_key, unpack_result, unpack_work
from downstage.engines.serial import SerialEngine
from downstage.errors import ConfigError, Unreachable
from downstage.jobs import glue_main
from downstage.masking.keys import MaskKey
from downstage.masking.sealing import KeySealer
from downstage.ports import Lane
from tests.glue_server.launching import sealer

LANES = [Lane("copy/t", (segment,)) for segment in range(3)]


def test_a_parcel_opens_only_where_it_lies_with_its_key_and_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(sealer(), "a.parcel", Work(print, tuple(LANES), 2))
    assert unpack_work(sealer(), "a.parcel", packed).lanes == tuple(LANES)
    other = KeySealer(MaskKey(os.urandom(32)))
    for key, opener in (("b.parcel", sealer()), ("a.parcel", other)):
        with pytest.raises(
            ConfigError, match="cannot be opened: it was sealed with another masking key, or was altered"
        ):
            unpack_work(opener, key, packed)
    with pytest.raises(ConfigError, match="cannot be opened"):
        unpack_work(sealer(), "a.parcel", packed[:-8] + b"AAAAAAA=")
    with pytest.raises(ConfigError, match="holds something else"):
        unpack_result(sealer(), "a.parcel", packed)
    monkeypatch.setattr("downstage.engines.parcel.__version__", "9.9")
    with pytest.raises(ConfigError, match=r"is of downstage .*, this is 9.9: deploy the job again"):
        unpack_work(sealer(), "a.parcel", packed)


def test_the_job_says_what_is_wrong_with_its_arguments(capfd: pytest.CaptureFixture[str]) -> None:
    assert glue_main.main(["--JOB_NAME", "x"]) == 2
    good = {"--downstage-parcel": "s3://b/k", "--downstage-key": "env:K", "--downstage-source": "{}",
            "--downstage-place": "[]"}  # fmt: skip
    assert glue_main.main([word for pair in good.items() for word in pair]) == 2
    said = capfd.readouterr().err.splitlines()
    assert (
        said == ["downstage: the job was not started by this Downstage: use 'downstage refresh ENV --engine glue'"] * 2
    )


def test_an_abbreviated_argument_is_not_ours() -> None:
    with pytest.raises(ConfigError):
        glue_main.task_of(["--downstage-parc", "s3://b/k"])


class Stuttering:
    """Parcels of which some cannot be put: of the result, by their number."""

    def __init__(self, packed: bytes, lost: set[int]) -> None:
        self.kept = {"a.parcel": packed}
        self.lost = lost
        self.puts = 0

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, content: bytes) -> None:
        self.puts += 1
        if self.puts in self.lost:
            raise Unreachable("S3 does not answer")
        self.kept[key] = content

    def claim(self, key: str, content: bytes) -> bool:
        raise AssertionError("nothing is claimed here")


@pytest.mark.parametrize("lost", [{1}, {1, 2}, {2, 3}])
def test_a_result_on_the_way_may_be_lost_and_the_last_one_tells_all(lost: set[int]) -> None:
    parcels = Stuttering(pack(sealer(), "a.parcel", Work(print, tuple(LANES), 2)), lost)
    glue_main.carry_out(_task(), parcels, sealer(), lambda _at_once: SerialEngine())
    assert unpack_result(sealer(), result_key("a.parcel"), parcels.kept[result_key("a.parcel")]).ended == tuple(LANES)


def test_the_last_result_must_be_told() -> None:
    parcels = Stuttering(pack(sealer(), "a.parcel", Work(print, tuple(LANES), 2)), {4})
    with pytest.raises(Unreachable):
        glue_main.carry_out(_task(), parcels, sealer(), lambda _at_once: SerialEngine())


def _task() -> glue_main.Task:
    here = Environment("prod", "111111111111", "us-east-1")
    return glue_main.Task("b", "a.parcel", "ssm:k", here, here, "")
