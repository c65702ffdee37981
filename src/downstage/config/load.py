"""Reads the configuration: file < environment variables < command line, checked, with the origin of every
value.

The caller passes the environment in: this module looks at no global, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from downstage.config import document
from downstage.config.checks import cross_check, dangers
from downstage.config.document import KeyPath
from downstage.config.layers import Layers, interpolation
from downstage.config.masking_files import MaskingFiles, absent_files, read_masking_files
from downstage.config.problems import Whereabouts, as_error, from_validation, schema_at
from downstage.config.schema import Config, json_schema
from downstage.errors import ConfigError, GuardRefused

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that has passed every check, and where it came from.

    `path` is the file as it was named; `base` is its directory, absolute: relative paths in the file start
    there. `masking_files` holds the policy, the lock and the keep lists that the configuration leads to.
    """

    config: Config
    path: Path
    base: Path
    masking_files: MaskingFiles
    _whereabouts: Whereabouts = field(repr=False)

    @property
    def state(self) -> Path:
        """The absolute directory of journals and reports. It need not exist yet."""
        return self.base / Path(self.config.state).expanduser()

    def origin(self, path: str | KeyPath) -> str:
        """Where a value comes from: "downstage.yaml:12", "environment variable X", "command line" or
        "default".

        `path` is dotted ("engine.default"); where a key itself holds a dot, give the keys as a tuple. List
        elements are numbers. Raises `KeyError` if no setting has that path.
        """
        keys: KeyPath = path if isinstance(path, tuple) else tuple(_part(part) for part in path.split("."))
        if schema_at(self._whereabouts.schema, keys) is None:
            raise KeyError(path)
        if keys in self._whereabouts.origins:
            return self._whereabouts.origins[keys]
        place = self._whereabouts.places.get(keys)
        return "default" if place is None else f"{self._whereabouts.name}:{place.line}"


def load(path: Path, *, environ: Mapping[str, str], overrides: Mapping[str, Any] = _NOTHING) -> LoadedConfig:
    """Read and check the configuration.

    `environ` serves `${VAR}` and the `DOWNSTAGE__…` variables; `overrides` holds the command line's values
    by dotted path. Raises `ConfigError`, one line a problem, each with its place; it never holds a value of
    the file. The policy and the lock are read once the configuration is good. `GuardRefused` instead, if the
    configuration would have production written to.
    """
    name = str(path)
    read = document.parse(document.read_text(path), name, interpolation(environ))
    layers = Layers(read)
    layers.add_environment(environ)
    layers.add_overrides(overrides)
    whereabouts = Whereabouts(name, layers.places, layers.origins, json_schema())
    try:
        config = Config.model_validate(layers.values)
    except ValidationError as error:
        raise as_error(from_validation(error, whereabouts), whereabouts) from None
    mistakes, refusals = list(cross_check(config)), list(dangers(config))
    mistakes += absent_files(config.masking, path.parent)
    if mistakes or refusals:
        raise as_error([*mistakes, *refusals], whereabouts, GuardRefused if refusals else ConfigError)
    files = read_masking_files(config, path.parent)
    return LoadedConfig(config, path, path.absolute().parent, files, whereabouts)


def _part(text: str) -> str | int:
    return int(text) if text.isdigit() else text
