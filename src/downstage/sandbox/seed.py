"""Seeds both accounts of a running sandbox.

Why: one place shows the order, and what may go on at the same time.
Rules: the stale side goes first and its consumer last, so that a refresh finds the consumer at work as it would be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from downstage.sandbox import layout, seed_buckets, seed_consumers, seed_tables, stale
from downstage.sandbox.clients import Account
from downstage.sandbox.generator import World, indexed
from downstage.sandbox.seed_search import SearchEngine

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Called with (step, done, total) as seeding goes on."""

STEPS = ("accounts", "test account", "production tables", "production search", "buckets")


def seed(world: World, endpoint: str, search_urls: dict[str, str], say: Say, progress: Progress) -> None:
    """Fill an empty sandbox. Errors: SandboxError, or botocore's if the emulator refuses something."""
    prod, test = Account(endpoint, layout.PROD_ACCOUNT), Account(endpoint, layout.TEST_ACCOUNT)
    progress(STEPS[0], 0, len(STEPS))
    create_roles(prod, test)
    for account, domain in ((prod, layout.PROD_DOMAIN), (test, layout.TEST_DOMAIN)):
        account.opensearch().create_domain(DomainName=domain, EngineVersion="OpenSearch_2.19")
    progress(STEPS[0], 1, len(STEPS))
    say("seeding the test account with last month's leftovers")
    seed_test(test, search_urls[layout.TEST_DOMAIN])
    progress(STEPS[1], 2, len(STEPS))
    total = sum(len(items) for items in world.tables.values())
    say(f"seeding production: {total:,} items, {len(world.buckets.source)} documents")
    with ThreadPoolExecutor(2) as pool:
        # The search engine works in its own process: let it, while this one writes items.
        search = pool.submit(seed_production_search, world, search_urls[layout.PROD_DOMAIN])
        seed_production_tables(prod, world)
        progress(STEPS[2], 3, len(STEPS))
        seed_buckets.fill(prod.s3(), layout.PROD_BUCKET, world.buckets.source)
        prod.s3().put_bucket_policy(Bucket=layout.PROD_BUCKET, Policy=seed_buckets.read_policy())
        seed_buckets.fill(test.s3(), layout.TEST_BUCKET, world.buckets.target)
        progress(STEPS[4], 4, len(STEPS))
        search.result()
    progress(STEPS[3], 5, len(STEPS))


def create_roles(prod: Account, test: Account) -> None:
    """The two roles that a refresh assumes. The emulator lets anybody assume them and enforces nothing."""
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{layout.LAUNCHER_ACCOUNT}:root"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
    prod.iam().create_role(RoleName=layout.READ_ROLE, AssumeRolePolicyDocument=trust)
    test.iam().create_role(RoleName=layout.WRITE_ROLE, AssumeRolePolicyDocument=trust)


def seed_test(test: Account, search_url: str) -> None:
    """Stale tables and search, the flags' old values, a bystander, and the stream consumer at work."""
    tables = test.dynamodb()
    engine = SearchEngine(search_url)
    engine.create_indices()
    engine.add(stale.stale_documents())
    streams = [
        seed_tables.create(tables, seed_tables.main_table(layout.TEST_TABLE, "test")),
        seed_tables.create(tables, seed_tables.users_table(layout.TEST_USERS_TABLE, "test")),
    ]
    seed_tables.create(tables, seed_tables.main_table(layout.TEST_BETA_TABLE, "test"))
    seed_tables.create(tables, seed_tables.plain_table(layout.DEPLOY_TABLE))
    seed_tables.create(tables, seed_tables.plain_table(layout.OTHER_TABLE))
    test.ssm().put_parameter(Name=layout.FLAG_PARAMETER, Value="beta", Type="String")
    seed_consumers.deploy(test.functions(), search_url, streams)
    seed_tables.fill(
        tables,
        {
            **stale.stale_tables(),
            layout.DEPLOY_TABLE: stale.deploy_flags(),
            layout.OTHER_TABLE: stale.bystanders(),
        },
    )


def seed_production_tables(prod: Account, world: World) -> None:
    """The tables as production has them."""
    tables = prod.dynamodb()
    seed_tables.create(tables, seed_tables.main_table(layout.PROD_TABLE, "prod"))
    seed_tables.create(tables, seed_tables.users_table(layout.PROD_USERS_TABLE, "prod"))
    seed_tables.protect(tables, layout.PROD_TABLE)
    seed_tables.fill(tables, world.tables)


def seed_production_search(world: World, search_url: str) -> None:
    """What production's own consumer has indexed."""
    engine = SearchEngine(search_url)
    engine.create_indices()
    engine.add(indexed(item for items in world.tables.values() for item in items))
