"""Whether the target's role can read the masking key: by trying, with the target's credentials.

Whoever can read the key can undo every pseudonym, so a yes stops the run. It is tried by the reference as it is
written, which in another account names another secret, and by the ARN of the source's secret, which a resource policy
may open. A secret of that name in the target counts as the key: somebody has put it there. No value is kept.
"""

from __future__ import annotations

from typing import Any

from downstage.aws.session import Session, calling
from downstage.errors import AwsError, CredentialsError, NotFound, Unreachable

_UNREADABLE = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "403",
    "DecryptionFailure",
    "KMSAccessDeniedException",
}


class SecretProbe:
    """Implements `ports.KeyProbe`."""

    def __init__(self, source: Session, target: Session) -> None:
        self._source = source
        self._target = target

    def readable(self, reference: str) -> bool:
        """Whether any spelling of the reference gives the target's role a value."""
        kind, _, name = reference.partition(":")
        if kind not in ("secretsmanager", "ssm"):
            return False
        if self._reads(kind, name):
            return True
        arn = None if name.startswith("arn:") else self._arn(kind, name)
        return arn is not None and self._reads(kind, arn)

    def _reads(self, kind: str, name: str) -> bool:
        region = name.split(":")[3] if name.startswith("arn:") else None
        try:
            with calling(self._target.environment, f"try the masking key in {kind}"):
                _read(self._target, kind, name, region)
        except NotFound:
            return False
        except AwsError as error:
            if error.code in _UNREADABLE:
                return False
            raise
        return True

    def _arn(self, kind: str, name: str) -> str | None:
        """The secret's ARN, which stands beside its value; None if the source cannot read it either."""
        try:
            with calling(self._source.environment, f"read the masking key's ARN from {kind}"):
                answer = _read(self._source, kind, name, None)
        except (AwsError, CredentialsError) as error:
            if isinstance(error, Unreachable):
                raise
            return None
        return answer.get("ARN")


def _read(session: Session, kind: str, name: str, region: str | None) -> dict[str, Any]:
    """The answer without the value."""
    if kind == "ssm":
        answer = session.client("ssm", region).get_parameter(Name=name, WithDecryption=True).get("Parameter", {})
    else:
        answer = session.client("secretsmanager", region).get_secret_value(SecretId=name)
    return {"ARN": answer.get("ARN")}
