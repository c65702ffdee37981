"""Where secrets are read: an environment variable, a file, Secrets Manager, or a SecureString parameter.

The masking key is read with the *source* side's role, for whoever can read it can undo the pseudonyms; CI tokens with
the target's. The value is never put in a message, a log or a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from downstage.aws.session import Session, calling
from downstage.errors import ConfigError


class KeyReader:
    """Implements `ports.KeySource`. `source` is the session to read secrets in AWS with. `setting` is the setting that
    holds the references, and `advice` what to do if there is nothing; both are for messages."""

    def __init__(
        self,
        source: Session | None,
        environ: Mapping[str, str],
        *,
        setting: str = "masking.key",
        advice: str = "make a key with 'downstage key new'",
    ) -> None:
        self._source = source
        self._environ = environ
        self._setting = setting
        self._advice = advice

    def read(self, reference: str) -> bytes:
        """The key's bytes for `env:NAME`, `file:PATH`, `secretsmanager:ID` or `ssm:NAME`."""
        kind, _, name = reference.partition(":")
        if kind == "env":
            value = self._environ.get(name)
            if not value:
                raise ConfigError(f"{self._setting}: the environment variable {name} is not set; {self._advice}")
            return value.encode()
        if kind == "file":
            try:
                return Path(name).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"{self._setting}: {name} cannot be read ({error.strerror}); {self._advice}"
                ) from None
        if kind in ("secretsmanager", "ssm"):
            return self._from_aws(kind, name)
        raise ConfigError(f"{self._setting} must be env:NAME, file:PATH, secretsmanager:ID or ssm:NAME")

    def _from_aws(self, kind: str, name: str) -> bytes:
        if self._source is None:
            raise ConfigError(f"{self._setting}: this command has no environment to read the secret with")
        with calling(self._source.environment, f"read {self._setting} from {kind}"):
            if kind == "ssm":
                answer = self._source.client("ssm").get_parameter(Name=name, WithDecryption=True)
                return str(answer["Parameter"]["Value"]).encode()
            answer = self._source.client("secretsmanager").get_secret_value(SecretId=name)
            if "SecretBinary" in answer:
                return bytes(answer["SecretBinary"])
            return str(answer["SecretString"]).encode()
