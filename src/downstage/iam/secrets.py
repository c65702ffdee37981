"""Secrets: the masking key is read with the source's role, and denied to the target's, which reads tokens of CIs."""

from __future__ import annotations

from collections.abc import Iterable

from downstage.domain.environment import Environment
from downstage.iam.arns import arn, secret_arn, service_host
from downstage.iam.documents import Statement
from downstage.iam.needs import Needs


def masking_keys(needs: Needs) -> list[str]:
    """The references of the masking keys that lie in AWS, with the source."""
    masking = needs.plan.masking
    return in_aws((masking.key, *masking.old_keys))


def in_aws(references: Iterable[str]) -> list[str]:
    """Those that a role has to read."""
    return [one for one in dict.fromkeys(references) if one.startswith(("secretsmanager:", "ssm:"))]


def reading(place: Environment, references: Iterable[str], what: str) -> list[Statement]:
    """Reads these secrets and parameters, and decrypts nothing but them. `what` begins the statements' names."""
    found = {kind: [secret_arn(place, one) for one in references if one.startswith(kind)] for kind in _KINDS}
    statements = []
    for kind, arns in found.items():
        if arns:
            action, context = _KINDS[kind]
            statements.append(Statement(f"Read{what}{_WORDS[kind]}", (action,), arns))
            statements.append(
                Statement(
                    f"Decrypt{what}{_WORDS[kind]}",
                    ("kms:Decrypt",),
                    (arn(place, "kms", "key/*"),),
                    {
                        "StringEquals": {"kms:ViaService": service_host(kind, place.region)},
                        "StringLike": {f"kms:EncryptionContext:{context}": arns},
                    },
                )
            )
    return statements


def denied_keys(needs: Needs) -> list[Statement]:
    """Whoever can read the masking key can undo the pseudonyms: the target's role never, whatever else it is given."""
    found = {kind: [one for one in masking_keys(needs) if one.startswith(f"{kind}:")] for kind in _KINDS}
    return [
        Statement(
            f"NeverTheMaskingKey{_WORDS[kind]}",
            (f"{kind}:*",),
            [secret_arn(needs.plan.source, one) for one in references],
            effect="Deny",
        )
        for kind, references in found.items()
        if references
    ]


_KINDS = {
    "secretsmanager": ("secretsmanager:GetSecretValue", "SecretARN"),
    "ssm": ("ssm:GetParameter", "PARAMETER_ARN"),
}
_WORDS = {"secretsmanager": "Secret", "ssm": "Parameter"}
