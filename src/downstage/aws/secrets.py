"""Where the masking key is read: an environment variable, a file, Secrets Manager, or a SecureString parameter.

Secrets are read with the *source* side's role, for whoever can read the key can undo the pseudonyms. The value is
never put in a message, a log or a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from downstage.aws.session import Session, calling
from downstage.errors import ConfigError


class KeyReader:
    """Implements `ports.KeySource`. `source` is the source side's session, made only if a secret lies in AWS."""

    def __init__(self, source: Session | None, environ: Mapping[str, str]) -> None:
        self._source = source
        self._environ = environ

    def read(self, reference: str) -> bytes:
        """The key's bytes for `env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`."""
        kind, _, name = reference.partition(":")
        if kind == "env":
            value = self._environ.get(name)
            if not value:
                raise ConfigError(
                    f"masking.key: the environment variable {name} is not set; make a key with 'downstage key new'"
                )
            return value.encode()
        if kind == "file":
            try:
                return Path(name).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"masking.key: {name} cannot be read ({error.strerror}); make a key with 'downstage key new'"
                ) from None
        if kind in ("secretsmanager", "ssm"):
            return self._from_aws(kind, name)
        raise ConfigError("masking.key must be env:NAME, file:PATH, secretsmanager:ID or ssm:NAME")

    def _from_aws(self, kind: str, name: str) -> bytes:
        if self._source is None:
            raise ConfigError("masking.key: this command has no source environment to read the secret with")
        with calling(self._source.environment, f"read the masking key from {kind}"):
            if kind == "ssm":
                answer = self._source.client("ssm").get_parameter(Name=name, WithDecryption=True)
                return str(answer["Parameter"]["Value"]).encode()
            answer = self._source.client("secretsmanager").get_secret_value(SecretId=name)
            if "SecretBinary" in answer:
                return bytes(answer["SecretBinary"])
            return str(answer["SecretString"]).encode()
