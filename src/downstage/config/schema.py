"""What `downstage.yaml` may hold: frozen models, every default in one place, every field described.

The descriptions are the documentation: they go into `schema.json` (JSON Schema 2020-12, for editors), which
`python -m downstage.config.schema` writes anew and a test compares with the models. Unknown keys are
errors, and so is what this version cannot do: a setting that would be ignored is worse than one that is
refused. What concerns several values at once is in `checks`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from downstage.config.automation import CircleCi, Command, GitHub, Schedule
from downstage.config.buckets import BucketPair
from downstage.config.exports import Export
from downstage.config.flags import Flag
from downstage.config.launcher import GlueJob, Launcher
from downstage.config.model import ONE_KEY, Model, Texts
from downstage.config.notifications import Notification
from downstage.config.planning import Preflight, Prices
from downstage.config.search import Search, Streams
from downstage.config.tables import Parity, Rates, TablePair
from downstage.config.values import (
    ENVIRONMENT_NAME,
    Account,
    Bearable,
    ControlTableName,
    Endpoint,
    EnvironmentName,
    ExternalId,
    KeyReference,
    Region,
    RoleArn,
    SchedulePrefix,
    Sink,
    Text,
    Truth,
    Whole,
)

DEPLOYERS = ("clone", "circleci", "github", "command")


Gate = Literal["wipe", "deploy", "copy", "sync", "consumers-on"]
"""Steps that may have to be approved."""


class Wipe(Model):
    """What is deleted from the target before the copy."""

    tables: Texts = Field(default=(), description="Names or shell patterns of tables of the target to delete.")
    domains: Texts = Field(default=(), description="Names or shell patterns of search domains of the target to delete.")
    regions: Annotated[tuple[Region, ...], Field(strict=False)] = Field(
        default=(),
        description="The regions in which they are deleted, the environment's own among them. A table's replicas go "
        "with it, and all must lie in these regions. Default: the environment's own region.",
    )


class Clone(Model):
    """Make the target tables from the source tables' schemas. No settings."""


class Deploy(Model):
    """Who makes the tables anew: exactly one of the four."""

    model_config = ONE_KEY

    clone: Clone | None = Field(
        default=None,
        description="Make the target tables from the source tables' schemas; written as 'clone: {}'.",
    )
    circleci: CircleCi | None = Field(default=None, description="A CircleCI workflow, rerun or started.")
    github: GitHub | None = Field(default=None, description="A GitHub Actions workflow.")
    command: Command | None = Field(default=None, description="A command of yours.")

    @model_validator(mode="after")
    def _one(self) -> Deploy:
        if len([name for name in DEPLOYERS if getattr(self, name) is not None]) != 1:
            raise ValueError(f"must hold exactly one of {', '.join(DEPLOYERS)}, for example 'clone: {{}}'")
        return self

    @property
    def kind(self) -> str:
        """The name of the one deployer that is given."""
        return next(name for name in DEPLOYERS if getattr(self, name) is not None)

    @property
    def options(self) -> dict[str, Any]:
        """The deployer's own settings."""
        held: Model = getattr(self, self.kind)
        return held.model_dump(by_alias=True)


class Refresh(Model):
    """How one environment is refreshed. A step without a stanza is not part of the run."""

    source: EnvironmentName = Field(alias="from", description="The environment that the data comes from.")
    flags: Annotated[tuple[Flag, ...], Field(strict=False)] = Field(
        default=(), description="Flags to set first, in this order; each is read back and compared."
    )
    wipe: Wipe | None = Field(default=None, description="What is deleted from the target before the copy.")
    deploy: Deploy | None = Field(default=None, description="Who makes the tables anew.")
    streams: Streams | None = Field(default=None, description="The consumers held off while the tables load.")
    tables: Annotated[tuple[TablePair, ...], Field(strict=False)] = Field(default=(), description="The tables to copy.")
    export: Export | None = Field(
        default=None,
        description="Read every table from an export to S3 (point in time, no load on production), not the live table.",
    )
    rates: Rates = Field(default=Rates(), description="How fast the tables are read and written.")
    max_quarantine: Bearable | None = Field(
        default=None,
        description="How many items of a table may be left out (because they cannot be masked, or the target refuses "
        "them) before the run stops: a number, or a percentage of the table's items such as 0.5%. Default: 100, or "
        "0.1% where that is more. Whatever it is, a run that left items out is not proven.",
    )
    parity: Parity = Field(default=Parity(), description="In what the target's tables may differ from the source's.")
    buckets: Annotated[tuple[BucketPair, ...], Field(strict=False)] = Field(
        default=(), description="The buckets to sync."
    )
    search: Search | None = Field(default=None, description="The search domain to wait for and to verify.")
    schedule: Schedule | None = Field(default=None, description="When the refresh starts by itself.")
    approve: Annotated[tuple[Gate, ...], Field(strict=False)] = Field(
        default=(),
        description="Steps before which the run stops until somebody has said 'downstage approve RUN'. For example "
        "[wipe, consumers-on].",
    )


class Environment(Model):
    """A named place in AWS, and how to get in."""

    account: Account = Field(description="The account id, 12 digits in quotes. The credentials must belong to it.")
    region: Region = Field(description="The region, for example us-east-1.")
    role: RoleArn | None = Field(default=None, description="The role to assume; it belongs to this account.")
    external_id: ExternalId | None = Field(
        default=None, description="The external id that the role's trust asks for, if it does. Not a secret."
    )
    profile: Text | None = Field(default=None, description="The profile of the AWS credentials or config file.")
    credentials_file: Text | None = Field(
        default=None, description="An AWS credentials file, relative to this file. Default: the usual places."
    )
    endpoint: Endpoint | None = Field(
        default=None, description="One URL in place of every AWS endpoint. http only for this machine."
    )
    search_endpoints: dict[Text, Endpoint] = Field(
        default={}, description="URLs of single search domains, by domain name. Default: AWS is asked."
    )
    protected: Truth = Field(
        default=False,
        description="true for production: nothing is ever written to this account, but exports that are asked for.",
    )
    refresh: Refresh | None = Field(
        default=None,
        description="How this environment is refreshed. An environment without it is never written.",
    )


class Keep(Model):
    """The only addresses that are not replaced."""

    domains: Texts = Field(default=(), description="Domains, exact: an address at a subdomain is replaced.")
    addresses: Texts = Field(default=(), description="Single addresses, without regard to case.")

    @property
    def is_empty(self) -> bool:
        """Whether every address is replaced."""
        return not (self.domains or self.addresses)


class Masking(Model):
    """How e-mail addresses are pseudonymised."""

    key: KeyReference = Field(
        description="Where the secret key is kept: env:NAME, file:PATH (relative to this file), secretsmanager:ID "
        "or ssm:NAME. Never the key itself."
    )
    old_keys: Annotated[tuple[KeyReference, ...], Field(strict=False)] = Field(
        default=(),
        description="Where keys are kept that were used before, written like key. Pseudonyms that were made with them "
        "are recognised and stay as they are; nothing new is made with them.",
    )
    policy: Text | None = Field(
        default=None,
        description="The masking policy (masking.yaml), relative to this file. Without one, addresses are replaced "
        "everywhere and nothing else is touched.",
    )
    lock: Text | None = Field(
        default=None,
        description="The file of known paths and types that 'downstage discover' writes, relative to this file. "
        "Default: masking.lock beside the policy, or beside this file, if it is there.",
    )
    sink: Sink = Field(
        default="u-{token}@{env}.example.com",
        description="The address of a pseudonym: {token} once, before the '@'; {env} is the environment's name. "
        "The domain must be one where no person reads mail: example.com, *.test, *.invalid, "
        "simulator.amazonses.com, or one of owned_domains. ses-simulator is short for "
        "success+{token}@simulator.amazonses.com.",
    )
    owned_domains: Texts = Field(
        default=(),
        description="Domains of yours that the sink may use, with subdomains. Mail to them must reach nobody.",
    )
    keep: Keep = Field(default=Keep(), description="The only addresses that are not replaced.")


class Spark(Model):
    """Where Spark runs, for the engine spark."""

    master: str | None = Field(
        default=None,
        pattern=r"^(local(\[(\d+|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]|spark://\S+|yarn|k8s://\S+)$",
        description="URL of the cluster, such as spark://host:7077. Default: this machine. Within spark-submit its own "
        "master holds.",
    )
    conf: dict[str, str] = Field(default={}, description="Settings of Spark's own, such as spark.executor.memory: 2g.")


class Engine(Model):
    """What runs the copy."""

    default: Literal["local", "serial", "spark", "glue"] = Field(
        default="local",
        description="local: several processes on this machine. serial: one, in turn. spark: tasks of a Spark "
        "application; needs the extra 'spark' and 'journal: dynamodb'. glue: runs of an AWS Glue job; needs 'glue' and "
        "'journal: dynamodb'.",
    )
    workers: Annotated[Whole, Field(ge=1, le=4096)] = Field(
        default=2,
        description="How many workers copy at once. With glue: how many lanes; default there: one for each core.",
    )
    spark: Spark = Field(default=Spark(), description="Where Spark runs.")
    segments: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="How many segments each table is cut into. Default: chosen from the table's size.",
    )
    glue: GlueJob | None = Field(
        default=None,
        description="The AWS Glue job of the engine glue: 'downstage glue deploy' makes it, 'downstage iam' its role.",
    )


class Durable(Model):
    """What carries detached and scheduled runs through."""

    database: KeyReference | None = Field(
        default=None,
        description="Where the URL of a Postgres database is kept that the runners of several machines share, for "
        "example env:DOWNSTAGE_DATABASE; needs 'journal: dynamodb'. Default: a file in the state directory.",
    )


class Config(Model):
    """The configuration of Downstage."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    state: Text = Field(
        default=".downstage", description="The directory of journals and reports, relative to this file."
    )
    journal: Literal["auto", "sqlite", "dynamodb"] = Field(
        default="auto",
        description="Where the progress of runs is kept. sqlite: a file in the state directory. dynamodb: the control "
        "table in the target's account, so that any machine can go on. auto: dynamodb where the environment variable "
        "CI is set, else sqlite with the lease in the control table. A run stays in the journal it began in.",
    )
    control_table: ControlTableName | None = Field(
        default=None,
        description="The control table in the target's account; made when it is needed. It holds the lease, which "
        "keeps other machines from refreshing the same environment at once, and the journal of runs in CI. Default: "
        "downstage-control, but none with 'journal: sqlite'.",
    )
    environments: Annotated[dict[EnvironmentName, Environment], Field(min_length=1)] = Field(
        description="The environments, by name.",
        json_schema_extra={"propertyNames": {"pattern": f"^{ENVIRONMENT_NAME}$"}},
    )
    masking: Masking = Field(description="How e-mail addresses are pseudonymised. There is no default key.")
    engine: Engine = Field(default=Engine(), description="What runs the copy.")
    launcher: Launcher | None = Field(
        default=None, description="The role that Downstage is started with: what it does itself, and who may be it."
    )
    durable: Durable = Field(default=Durable(), description="What carries detached and scheduled runs through.")
    preflight: Preflight = Field(default=Preflight(), description="What 'check' and a refresh's preflight bear.")
    prices: Prices = Field(
        default=Prices(), description="What AWS asks, for the estimate of 'plan'. Default: list prices."
    )
    notifications: Annotated[tuple[Notification, ...], Field(strict=False)] = Field(
        default=(), description="Who is told what becomes of the refreshes. It never fails a refresh."
    )
    schedule_prefix: SchedulePrefix = Field(
        default="downstage-",
        description="What the names of our schedules begin with: 'schedule apply' removes those of that name that no "
        "environment has any more. Give each configuration its own where several share a CI project.",
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, made from the models."""
    schema = Config.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "downstage.yaml"}


def schema_text() -> str:
    """The text of `schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("schema.json").write_text(schema_text(), encoding="utf-8")
