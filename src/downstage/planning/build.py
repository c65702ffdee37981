"""From the configuration to the plan of one refresh: names resolved, defaults filled in, nothing touched.

This is where the loose words of the file become the strict types of `domain`: from here on a source cannot be passed
where a target is meant. Whether the plan is *safe* is for `guards`; whether the tables are there, for the preflight.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from downstage.config import flags, schema, tables
from downstage.config.buckets import BucketPair as BucketSettings
from downstage.config.buckets import Inventory as InventorySettings
from downstage.config.checks import canonical, nearest
from downstage.config.launcher import GlueJob, Launcher
from downstage.config.masking_files import MaskingFiles, read_masking_files
from downstage.config.search import Backfill as BackfillSettings
from downstage.config.search import Search as SearchSettings
from downstage.config.search import Streams as StreamsSettings
from downstage.domain.environment import Environment
from downstage.domain.export import ExportPlan
from downstage.domain.flags import configured_values, mentioned, substituted
from downstage.domain.glue import GluePlan
from downstage.domain.inventory import InventoryPlan
from downstage.domain.plan import (
    Backfill,
    BucketPair,
    Deploy,
    EnginePlan,
    Flag,
    IndexExpectation,
    ItemFlag,
    MaskingPlan,
    MaxDelete,
    MaxQuarantine,
    ParameterFlag,
    Rates,
    RefreshPlan,
    SearchPlan,
    Streams,
    SyncOptions,
    TablePair,
    Wipe,
)
from downstage.domain.refs import (
    ExportBucket,
    SourceBucket,
    SourceDomain,
    SourceTable,
    TargetBucket,
    TargetDomain,
    TargetTable,
)
from downstage.domain.table_schema import ParityTerms, Units
from downstage.errors import ConfigError

ENGINES = ("local", "serial", "spark", "glue")


def build_plan(
    config: schema.Config,
    environment: str,
    *,
    base: Path,
    engine: str | None = None,
    workers: int | None = None,
    segments: int | None = None,
    files: MaskingFiles | None = None,
) -> RefreshPlan:
    """The plan for refreshing `environment`.

    `base` is the directory of the configuration file (`LoadedConfig.base`): a `file:` key and credentials files are
    resolved against it. `engine`, `workers` and `segments` replace the configured ones. `files` is what
    `LoadedConfig.masking_files` holds; without it the policy and the lock are read from `base`, never left out.

    Raises `ConfigError` for an unknown environment (naming the nearest), one that has no `refresh`, an unknown engine.
    """
    configured = _configured(config, environment)
    refresh = configured.refresh
    if refresh is None:
        able = [name for name, other in config.environments.items() if other.refresh is not None]
        hint = f"environments that can be refreshed: {', '.join(able)}" if able else "no environment has one"
        raise ConfigError(f"environment '{environment}' has no 'refresh' in the configuration; {hint}")
    source = environment_of(config, refresh.source, base=base)
    target = environment_of(config, environment, base=base)
    return RefreshPlan(
        source=source,
        target=target,
        masking=_masking(config.masking, environment, base, files or read_masking_files(config, base)),
        engine=_engine(config.engine, engine, workers, segments, source.region),
        flags=tuple(_flag(flag, target) for flag in refresh.flags),
        wipe=_wipe(refresh.wipe, target),
        deploy=_deploy(refresh, target, base),
        streams=_streams(refresh.streams, target),
        tables=_tables(refresh, source, target),
        buckets=tuple(
            BucketPair(
                SourceBucket(source.account, bucket.source),
                TargetBucket(target.account, bucket.target),
                delete=bucket.delete,
                options=_sync_options(bucket, source.account),
            )
            for bucket in refresh.buckets
        ),
        search=_search(refresh.search, source, target),
        rates=Rates(_rate(refresh.rates.read), _rate(refresh.rates.write), _rate(refresh.rates.verify)),
        max_quarantine=_max_quarantine(refresh.max_quarantine),
        approve=refresh.approve,
        source_role=config.preflight.source_role,
        exporter=_exporter(config.launcher, source),
    )


def _tables(refresh: schema.Refresh, source: Environment, target: Environment) -> tuple[TablePair, ...]:
    parity = refresh.parity
    for key in parity.kms.values():
        if key.startswith("arn:") and key.split(":")[4] == source.account != target.account:
            raise ConfigError(
                f"parity.kms: the key {key} is of the source's account, which encrypts nothing in the target: "
                f"name a key of account {target.account}"
            )
    return tuple(
        TablePair(
            SourceTable(source.account, source.region, table.source),
            TargetTable(target.account, target.region, table.target),
            export=_export(refresh, table, source),
            terms=ParityTerms(
                accept=(*parity.accept, *table.accept),
                kms=parity.kms,
                accounts=parity.accounts,
                functions=parity.functions,
                warm=None
                if table.warm_throughput is None
                else Units(table.warm_throughput.read, table.warm_throughput.write),
            ),
        )
        for table in refresh.tables
    )


def _export(refresh: schema.Refresh, table: tables.TablePair, source: Environment) -> ExportPlan | None:
    export = None if table.live else table.export or refresh.export
    if export is None:
        return None
    if export.arn is not None and export.arn.split("/")[1] != table.source:
        raise ConfigError(
            f"table {table.source}: 'export.arn' names an export of table {export.arn.split('/')[1]}; an export by "
            "ARN is one table's: give each table its own"
        )
    return ExportPlan(
        bucket=ExportBucket(source.account, export.bucket),
        prefix=export.prefix or "",
        kms=export.kms,
        at=export.time,
        arn=export.arn,
        keep=export.kept,
        patience=export.patience,
    )


def environment_of(config: schema.Config, name: str, *, base: Path) -> Environment:
    """One environment of the configuration. Raises `ConfigError` for an unknown name, naming the nearest."""
    configured = _configured(config, name)
    credentials = configured.credentials_file
    return Environment(
        name=name,
        account=configured.account,
        region=configured.region,
        protected=configured.protected,
        role=configured.role,
        profile=configured.profile,
        credentials_file=None if credentials is None else _absolute(base, credentials),
        endpoint=configured.endpoint,
        search_endpoints=tuple(configured.search_endpoints.items()),
        external_id=configured.external_id,
    )


def _exporter(launcher: Launcher | None, source: Environment) -> Environment | None:
    """The source's account, signed in to as whoever started Downstage: no role is assumed."""
    if launcher is None or not launcher.exports:
        return None
    return replace(source, role=None, external_id=None)


def environments_of(config: schema.Config, *, base: Path) -> tuple[Environment, ...]:
    """Every environment of the configuration, in the order of the file: what the guards compare a plan with."""
    return tuple(environment_of(config, name, base=base) for name in config.environments)


def _configured(config: schema.Config, name: str) -> schema.Environment:
    if name not in config.environments:
        raise ConfigError(f"there is no environment '{name}'; {_hint(name, config.environments)}")
    return config.environments[name]


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = nearest(name, names)
    return f"did you mean '{close}'?" if close else f"known: {', '.join(names)}"


def _masking(masking: schema.Masking, environment: str, base: Path, files: MaskingFiles) -> MaskingPlan:
    return MaskingPlan(
        key=_key(masking.key, base),
        sink=masking.sink.replace("{env}", environment),
        environment=environment,
        keep_domains=tuple(dict.fromkeys(canonical(domain) for domain in files.keep.domains)),
        keep_addresses=tuple(dict.fromkeys(canonical(address) for address in files.keep.addresses)),
        old_keys=tuple(_key(reference, base) for reference in masking.old_keys),
        policy=files.policy,
        lock=files.lock,
    )


def _key(reference: str, base: Path) -> str:
    kind, _, rest = reference.partition(":")
    return f"file:{_absolute(base, rest)}" if kind == "file" else reference


def _engine(
    configured: schema.Engine, name: str | None, workers: int | None, segments: int | None, region: str
) -> EnginePlan:
    if name is not None and name not in ENGINES:
        raise ConfigError(f"there is no engine '{name}'; {_hint(name, ENGINES)}")
    glue = None if configured.glue is None else _glue(configured.glue, region)
    chosen = name or configured.default
    if workers is None:
        everywhere = chosen == "glue" and glue is not None and "workers" not in configured.model_fields_set
        workers = glue.slots if everywhere and glue is not None else configured.workers
    plan = EnginePlan(
        name=chosen,
        workers=workers,
        segments=configured.segments if segments is None else segments,
        master=configured.spark.master,
        conf=tuple(sorted(configured.spark.conf.items())),
        glue=glue,
    )
    if plan.workers < 1 or (plan.segments is not None and plan.segments < 1):
        raise ConfigError("the numbers of workers and segments must be at least 1")
    return plan


def _glue(job: GlueJob, region: str) -> GluePlan:
    return GluePlan(
        job=job.job,
        role=job.role,
        bucket=job.bucket,
        region=job.region or region,
        prefix=job.prefix,
        version=job.glue_version,
        worker_type=job.worker_type,
        workers=job.workers,
        timeout_minutes=job.timeout_minutes,
    )


def _sync_options(bucket: BucketSettings, source_account: str = "") -> SyncOptions:
    prefix = bucket.from_prefix or ""
    return SyncOptions(
        source_prefix=prefix,
        target_prefix=prefix if bucket.to_prefix is None else bucket.to_prefix,
        include=bucket.include,
        exclude=bucket.exclude,
        compare=bucket.compare,
        on_personal_key=bucket.on_personal_key,
        tags=bucket.tags,
        storage_class=bucket.storage_class,
        acl=bucket.acl,
        kms_key=bucket.kms_key,
        max_delete=MaxDelete(bucket.max_delete.objects, bucket.max_delete.percent / 100),
        inventory=None if bucket.inventory is None else _inventory(bucket.inventory, source_account),
    )


def _inventory(settings: InventorySettings, account: str) -> InventoryPlan:
    return InventoryPlan(
        ExportBucket(account, settings.bucket), settings.prefix or "", settings.manifest or "", settings.max_age
    )


def _rate(rate: int | str) -> float | None:
    return float(rate) if isinstance(rate, int) else None


def _max_quarantine(bearable: int | str | None) -> MaxQuarantine:
    if bearable is None:
        return MaxQuarantine()
    if isinstance(bearable, int):
        return MaxQuarantine(items=bearable, share=0.0)
    return MaxQuarantine(items=0, share=float(bearable.rstrip(" %")) / 100)


def _flag(flag: flags.Flag, target: Environment) -> Flag:
    if flag.dynamodb is not None:
        table = TargetTable(target.account, target.region, flag.dynamodb.table)
        return ItemFlag(table, flag.dynamodb.key, flag.dynamodb.set, flag.name_as)
    assert flag.ssm is not None  # the schema allows exactly one of the two
    return ParameterFlag(flag.ssm.name, flag.ssm.value, flag.name_as)


def _deploy(refresh: schema.Refresh, target: Environment, base: Path) -> Deploy | None:
    """The deployer with its paths made absolute. Raises ConfigError for `${flags.NAME}` that is no flag's."""
    deploy = refresh.deploy
    if deploy is None:
        return None
    options = deploy.options
    if mentioned(options):
        substituted(options, configured_values(_flag(flag, target) for flag in refresh.flags))
    if "token" in options:
        options["token"] = _key(options["token"], base)
    if "directory" in options:
        options["directory"] = _absolute(base, options["directory"])
    return Deploy(deploy.kind, options)


def _wipe(wipe: schema.Wipe | None, target: Environment) -> Wipe | None:
    if wipe is None:
        return None
    further = tuple(region for region in dict.fromkeys(wipe.regions) if region != target.region)
    return Wipe(wipe.tables, wipe.domains, further)


def _streams(streams: StreamsSettings | None, target: Environment) -> Streams | None:
    if streams is None:
        return None
    return Streams(streams.functions, streams.regions or (target.region,), streams.others)


def _search(search: SearchSettings | None, source: Environment, target: Environment) -> SearchPlan | None:
    if search is None:
        return None
    return SearchPlan(
        target=TargetDomain(target.account, target.region, search.domain),
        source=None if search.source is None else SourceDomain(source.account, source.region, search.source),
        document_id=search.id,
        expectations=tuple(IndexExpectation(index, condition) for index, condition in search.expect.items()),
        patience=search.patience,
        backfill=_backfill(search.backfill),
    )


def _backfill(settings: BackfillSettings | None) -> Backfill | None:
    return None if settings is None else Backfill(settings.call, settings.attributes, settings.automatic)


def _absolute(base: Path, path: str) -> str:
    return str(base.absolute() / Path(path).expanduser())
