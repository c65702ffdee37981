"""The same roles as Terraform: `aws_iam_role`, `aws_iam_policy_document`, `aws_iam_policy` and what attaches them.

The roles lie in several accounts, so each resource names the provider of its account; `declaration` declares them, and
the files are a module that is handed one provider for each. A policy of a bucket is a document only: a bucket has one
policy, which is not ours to replace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from downstage.iam.arns import role_parts
from downstage.iam.documents import Policy, Statement
from downstage.iam.roles import Role

Providers = Mapping[str, str]
"""The provider's alias of each account."""


def providers_of(roles: Iterable[Role], known: Iterable[tuple[str, str]], buckets_of: str) -> dict[str, str]:
    """An alias for each account that a role, or a bucket's policy, is of. `known` are (account, environment)."""
    named: dict[str, str] = {}
    for account, environment in known:
        named.setdefault(account, re.sub(r"[^a-z0-9]", "_", f"env_{environment}"))
    accounts = [role_parts(role.arn)[0] for role in roles]
    if any(role.granted for role in roles):
        accounts.append(buckets_of)
    return {account: named.get(account, f"account_{account}") for account in dict.fromkeys(accounts)}


def declaration(providers: Providers) -> str:
    """The providers that the module is handed."""
    lines = [f"        aws.{alias},  # account {account}" for account, alias in providers.items()]
    return (
        "terraform {\n  required_providers {\n    aws = {\n"
        '      source = "hashicorp/aws"\n      configuration_aliases = [\n'
        + "\n".join(lines)
        + "\n      ]\n    }\n  }\n}\n"
    )


def role_text(role: Role, providers: Providers, buckets_of: str) -> str:
    """One role with all that belongs to it."""
    account, path, name = role_parts(role.arn)
    provider = f"aws.{providers[account]}"
    trust = f"downstage_{role.name}_trust"
    blocks = [
        _document(trust, role.trust, provider),
        _block(
            ("resource", "aws_iam_role", f"downstage_{role.name}"),
            [
                ("provider", provider),
                ("name", _text(name)),
                ("path", _text(path)),
                ("assume_role_policy", f"data.aws_iam_policy_document.{trust}.json"),
                ("max_session_duration", "3600"),
            ],
        ),
    ]
    for policy_name, policy in role.policies.items():
        label = re.sub(r"[^A-Za-z0-9_]", "_", policy_name)
        blocks += [
            _document(label, policy, provider),
            _block(
                ("resource", "aws_iam_policy", label),
                [
                    ("provider", provider),
                    ("name", _text(policy_name)),
                    ("policy", f"data.aws_iam_policy_document.{label}.json"),
                ],
            ),
            _block(
                ("resource", "aws_iam_role_policy_attachment", label),
                [
                    ("provider", provider),
                    ("role", f"aws_iam_role.downstage_{role.name}.name"),
                    ("policy_arn", f"aws_iam_policy.{label}.arn"),
                ],
            ),
        ]
    for bucket, policy in role.granted.items():
        label = "bucket_" + re.sub(r"[^A-Za-z0-9_]", "_", bucket)
        comment = f"# What the policy of bucket {bucket} must say besides what it says: merge it there.\n"
        blocks.append(comment + _document(label, policy, f"aws.{providers[buckets_of]}"))
    return "\n".join(blocks)


def _document(label: str, policy: Policy, provider: str) -> str:
    inner = [_statement(statement) for statement in policy]
    return _block(("data", "aws_iam_policy_document", label), [("provider", provider)], inner)


def _statement(statement: Statement) -> str:
    plain = [("sid", _text(statement.sid)), ("effect", _text(statement.effect))]
    for name, values in (
        ("actions", statement.actions),
        ("not_actions", statement.not_actions),
        ("resources", statement.resources),
        ("not_resources", statement.not_resources),
    ):
        if values:
            plain.append((name, _list(values)))
    inner = [
        _block(("principals",), [("type", _text(kind)), ("identifiers", _list(names))])
        for kind, names in statement.principals.items()
    ]
    for test, keys in statement.condition.items():
        for variable, value in keys.items():
            values = [value] if isinstance(value, str) else value
            inner.append(
                _block(
                    ("condition",),
                    [("test", _text(test)), ("variable", _text(variable)), ("values", _list(values))],
                )
            )
    return _block(("statement",), plain, inner)


def _block(header: Sequence[str], arguments: Iterable[tuple[str, str]], inner: Iterable[str] = ()) -> str:
    first, *labels = header
    opening = " ".join([first, *(_text(label) for label in labels)])
    parts = ["\n".join(_aligned(list(arguments))), *(_indented(one.rstrip("\n")) for one in inner)]
    return f"{opening} {{\n" + "\n\n".join(parts) + "\n}\n"


def _aligned(arguments: list[tuple[str, str]]) -> list[str]:
    """Arguments as `terraform fmt` sets them: the signs of neighbouring lines below each other, lists apart."""
    lines: list[str] = []
    run: list[tuple[str, str]] = []
    for name, value in [*arguments, ("", "")]:
        if name and "\n" not in value:
            run.append((name, value))
            continue
        width = max((len(each) for each, _ in run), default=0)
        lines += [f"  {each.ljust(width)} = {held}" for each, held in run]
        run = []
        if name:
            lines += f"  {name} = {value}".replace("\n", "\n  ").split("\n")
    return lines


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))


def _list(values: Sequence[str]) -> str:
    if len(values) == 1:
        return f"[{_text(values[0])}]"
    return "[\n" + "".join(f"  {_text(value)},\n" for value in values) + "]"


def _text(value: str) -> str:
    """A quoted text in which nothing is taken for a template: policy variables are AWS's."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
