"""Patterns become ARNs no wider than they are, and statements become documents that AWS takes."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from itertools import pairwise, product

import pytest

from downstage.domain.environment import Environment
from downstage.errors import ConfigError
from downstage.iam import arns
from downstage.iam.documents import LIMIT, Statement, document, packed, size
from tests.permissions.evaluator import Request, actions_in, allowed, matches

PLACE = Environment("test", "222222222222", "us-east-1")
CHINA = Environment("test", "222222222222", "cn-north-1")


@pytest.mark.parametrize(
    "pattern", ["app-test", "app-*", "app-?-x", "app-[ab]", "a[0-2]b*", "a[!a-zA-Z0-9_]b", "a[]x]", "*"]
)
def test_a_pattern_takes_what_the_shell_takes_and_nothing_more(pattern: str) -> None:
    spelled = arns.spellings(pattern)
    letters = "ab0-_.x"
    names = [*("".join(one) for size in (1, 2, 3) for one in product(letters, repeat=size))]
    names += [f"app-{name}" for name in names if len(name) < 3] + ["app-test", "app-1-x", "app-a-x", "a1bzz", "a3bzz"]
    for name in names:
        assert any(matches(one, name) for one in spelled) is fnmatchcase(name, pattern), (pattern, name)


def test_a_pattern_that_leaves_too_much_open_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="write it with") as refused:
        arns.spellings("app-[a-z][a-z]")
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)


def test_a_plain_text_stays_one() -> None:
    prefix = arns.literal("a*/b?/$c")
    assert matches(prefix, "a*/b?/$c")
    assert not matches(prefix, "aX/bY/$c")
    assert arns.parameter_arn(PLACE, "/app/*") == "arn:aws:ssm:us-east-1:222222222222:parameter/app/${*}"


def test_a_secret_is_named_with_the_characters_that_aws_adds() -> None:
    named = arns.secret_arn(PLACE, "secretsmanager:downstage/mask-key")
    assert matches(named, "arn:aws:secretsmanager:us-east-1:222222222222:secret:downstage/mask-key-a1B2c3")
    assert not matches(named, "arn:aws:secretsmanager:us-east-1:222222222222:secret:downstage/mask-key-old-a1B2c3")
    assert arns.secret_arn(PLACE, "ssm:mask") == "arn:aws:ssm:us-east-1:222222222222:parameter/mask"
    arn = "arn:aws:secretsmanager:eu-west-1:333333333333:secret:key-a1B2c3"
    assert arns.secret_arn(PLACE, f"secretsmanager:{arn}") == arn


def test_a_function_is_named_with_its_versions_and_no_other() -> None:
    named = arns.function_arns(PLACE, ["indexer"], "us-west-1")
    begin = "arn:aws:lambda:us-west-1:222222222222:function:"
    assert any(matches(one, f"{begin}indexer") for one in named)
    assert any(matches(one, f"{begin}indexer:live") for one in named)
    assert not any(matches(one, f"{begin}indexer2") for one in named)


def test_china_is_another_partition() -> None:
    assert arns.table_arns(CHINA, ["app"]) == ["arn:aws-cn:dynamodb:cn-north-1:222222222222:table/app"]
    assert arns.service_host("s3", "cn-north-1") == "s3.cn-north-1.amazonaws.com.cn"


def test_statements_are_put_into_as_few_documents_as_fit() -> None:
    statements = [Statement(f"S{number}", ("dynamodb:Scan",), (f"arn:{number:0>900}",)) for number in range(20)]
    policies = packed(statements)
    assert [one for policy in policies for one in policy] == statements
    assert len(policies) == 4
    assert all(size(policy) <= LIMIT for policy in policies)
    assert all(size([*left, right[0]]) > LIMIT for left, right in pairwise(policies))


def test_a_statement_that_is_too_large_is_cut_and_allows_the_same() -> None:
    tables = [f"arn:aws:dynamodb:us-east-1:222222222222:table/{'x' * 200}{number}" for number in range(120)]
    policies = packed([Statement("Read", ("dynamodb:Scan",), tables)])
    documents = [json.loads(json.dumps(document(policy))) for policy in policies]
    assert all(len(json.dumps(one, separators=(",", ":"))) <= LIMIT for one in documents)
    assert all(allowed(documents, Request("dynamodb:Scan", table)) for table in tables)
    assert not allowed(documents, Request("dynamodb:Scan", tables[0] + "0"))
    sids = [statement["Sid"] for one in documents for statement in one["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


def test_what_cannot_be_cut_is_refused() -> None:
    """Two halves of a 'deny all but these' would deny these."""
    others = [f"arn:aws:s3:::{'x' * 60}{number}" for number in range(120)]
    with pytest.raises(ConfigError, match="larger than AWS takes"):
        packed([Statement("Never", ("s3:GetObject",), not_resources=others, effect="Deny")])
    with pytest.raises(ConfigError, match="larger than AWS takes"):
        packed([Statement("One", ("s3:GetObject",), ("x" * LIMIT,))])


def test_the_judge_judges_as_aws_does() -> None:
    """Of what the other tests rely on: denial wins, NotAction, conditions on what is not carried, patterns."""
    owned = {"StringEquals": {"aws:ResourceAccount": "111111111111"}}
    documents = [
        document(
            [
                Statement("A", ("s3:GetObject", "s3:PutObject"), ("arn:aws:s3:::b/*",), owned),
                Statement("B", ("s3:*",), ("*",)),
                Statement("C", not_actions=("s3:GetObject",), resources=("*",), condition=owned, effect="Deny"),
                Statement("D", ("s3:GetObject",), not_resources=("arn:aws:s3:::b/*",), condition=owned, effect="Deny"),
            ]
        )
    ]
    ours, theirs = {"aws:ResourceAccount": "222222222222"}, {"aws:ResourceAccount": "111111111111"}
    assert allowed(documents, Request("s3:GetObject", "arn:aws:s3:::b/k", theirs))
    assert allowed(documents, Request("S3:getobject", "arn:aws:s3:::b/k", theirs))
    assert not allowed(documents, Request("s3:PutObject", "arn:aws:s3:::b/k", theirs))
    assert not allowed(documents, Request("s3:GetObject", "arn:aws:s3:::other/k", theirs))
    assert allowed(documents, Request("s3:PutObject", "arn:aws:s3:::b/k", ours))
    assert not allowed(documents, Request("ssm:GetParameter", "arn:aws:s3:::b/k", ours))
    assert not allowed([document([Statement("A", ("a:b",), ("*",), owned)])], Request("a:b", "*"))
    assert actions_in(documents, "Deny") == {"s3:GetObject"}
