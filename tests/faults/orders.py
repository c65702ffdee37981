"""What a worker is told of a run that copies the endpoint's tables: an order as `app.worker` makes it."""

from __future__ import annotations

from pathlib import Path

from downstage.app.orders import Order
from downstage.app.places import JournalPlace
from downstage.domain.environment import Environment
from downstage.domain.plan import MaskingPlan, Rates
from downstage.masking.compile import fingerprint
from downstage.ports import RunRecord
from downstage.workflow.parts import TableWork
from tests.faults.endpoint import PROD, TEST
from tests.faults.lanes import KEY, KEYS, SOURCE, TARGET

SEGMENTS = 4
WORK = TableWork(SOURCE, TARGET, KEYS, SEGMENTS, None, 0.0)
RUN = RunRecord("run-1", "test", "refresh", "running", 1, "2027-01-01T00:00:00Z", "", {})


def order_of(folder: Path, url: str, journal: JournalPlace) -> Order:
    """What a worker of this run is told."""
    keys = "[{0}]\naws_access_key_id = AKIA{1}\naws_secret_access_key = secret\n"
    credentials = folder / "credentials"
    credentials.write_text("".join(keys.format(name, name.upper()) for name in ("prod", "test")))
    key = folder / "mask.key"
    key.write_text(bytes(range(32)).hex())
    key.chmod(0o600)

    def side(name: str, account: str, *, protected: bool = False) -> Environment:
        return Environment(
            name, account, "us-east-1", protected, profile=name, credentials_file=str(credentials), endpoint=url
        )

    masking = MaskingPlan(f"file:{key}", "u-{token}@test.example.com", "test")
    return Order(
        source=side("prod", PROD, protected=True),
        target=side("test", TEST),
        masking=masking,
        mask_fingerprint=fingerprint(masking, KEY),
        search=None,
        rates=Rates(read=1e9, write=1e9, verify=1e9),
        lanes=1,
        journal=journal,
        lease=None,
        carrier="elsewhere",
        run_id="run-1",
        epoch=1,
        tables=(WORK,),
    )
