"""How a strategy is written in the policy file: a name, `{name: options}`, or `{name: shorthand}`.

One model a strategy says which options it has; what each strategy does with them is not known here. A message names
strategies and options, and no values. Only what the file gives comes out: defaults belong to the strategies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from downstage.config.checks import nearest
from downstage.config.model import Model
from downstage.config.policy_words import show_name
from downstage.config.values import Text

OWN_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"

_PSEUDONYM_DOMAIN = r"[a-z0-9_/-]{1,64}"
_FUNCTION = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_PART = re.compile(r"\{(?:token(?::(?P<letters>\d{1,3}))?|digits:(?P<digits>\d{1,3}))\}")
_MOST_OF_A_DRAW = 64

Kind = Literal["phone", "ssn", "card", "ip"]


def _matching(pattern: str, words: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(words)
        return value

    return AfterValidator(check)


def _different(least: int) -> AfterValidator:
    def check(values: tuple[str, ...]) -> tuple[str, ...]:
        if len(values) < least:
            raise ValueError(f"must hold at least {least}")
        if len(set(values)) != len(values):
            raise ValueError("holds one text twice")
        return values

    return AfterValidator(check)


def _drawn_text(value: str) -> str:
    parts = list(_PART.finditer(value))
    rest = _PART.sub("", value)
    if not parts:
        raise ValueError("holds none of {token}, {token:N} and {digits:N}; for a fixed text use redact")
    if "{" in rest or "}" in rest:
        raise ValueError("may hold no other braces than {token}, {token:N} and {digits:N}")
    if any(not 1 <= int(part["letters"] or part["digits"] or 1) <= _MOST_OF_A_DRAW for part in parts):
        raise ValueError(f"asks for more than {_MOST_OF_A_DRAW} letters or digits, or for none")
    return value


class Options(Model):
    """What every strategy takes. `shorthand` is the option that may be given alone, `example` how one is written that
    cannot do without options."""

    shorthand: ClassVar[str | None] = None
    example: ClassVar[str | None] = None

    domain: Annotated[str, _matching(_PSEUDONYM_DOMAIN, "must be a name of a-z, 0-9, _, / and -")] | None = Field(
        default=None,
        description="The pseudonym domain: one value has one replacement in it, wherever it stands. "
        "Default: the strategy's name and version, such as phone/v1.",
    )
    on_merge: Literal["fail", "merge"] = Field(
        default="fail", description="What to do if two members of a set become one: refuse the item, or keep one."
    )

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        if cls.shorthand is None or value is None or isinstance(value, dict):
            return value
        return {cls.shorthand: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = handler(core)
        if cls.shorthand is None:
            return whole
        return {"anyOf": [whole, handler.resolve_ref_schema(whole)["properties"][cls.shorthand]]}


class DateShift(Options):
    """Options of date_shift."""

    example: ClassVar[str | None] = "{date_shift: {days: 30}}"

    days: Annotated[int, Field(ge=1, le=3660)] = Field(description="Dates move by at most so many days.")
    by: Text | None = Field(
        default=None,
        description="Dates of all items with the same value of this attribute move alike. Default: by the date itself.",
    )


class NumberNoise(Options):
    """Options of number_noise."""

    shorthand: ClassVar[str | None] = "percent"
    example: ClassVar[str | None] = "{number_noise: 5}"

    percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = Field(
        description="Numbers change by at most so many percent."
    )


class FreeText(Options):
    """Options of text."""

    shorthand: ClassVar[str | None] = "kinds"

    kinds: Annotated[tuple[Kind, ...], Field(strict=False), _different(1)] = Field(
        default=get_args(Kind),
        description="What is looked for beside e-mail addresses, which always are.",
        json_schema_extra={"minItems": 1},
    )


class Redact(Options):
    """Options of redact."""

    shorthand: ClassVar[str | None] = "with"

    with_: Text = Field(default="[redacted]", alias="with", description="The text that stands there instead.")


class Hash(Options):
    """Options of hash."""

    shorthand: ClassVar[str | None] = "letters"

    letters: Annotated[int, Field(ge=16, le=64)] = Field(
        default=32, description="How long the replacement is. From 24 on, distinct values stay distinct."
    )


class Pick(Options):
    """Options of pick."""

    shorthand: ClassVar[str | None] = "from"
    example: ClassVar[str | None] = "{pick: [a, b]}"

    from_: Annotated[tuple[Text, ...], Field(strict=False), _different(2)] = Field(
        alias="from", description="The texts to choose from, at least two.", json_schema_extra={"minItems": 2}
    )


class DrawnText(Options):
    """Options of template."""

    shorthand: ClassVar[str | None] = "text"
    example: ClassVar[str | None] = '{template: "P-{token}"}'

    text: Annotated[str, AfterValidator(_drawn_text)] = Field(
        description="The replacement: {token} is 32 letters, {token:N} N letters, {digits:N} N digits."
    )


class Hook(Options):
    """Options of hook."""

    shorthand: ClassVar[str | None] = "call"
    example: ClassVar[str | None] = '{hook: "module:function"}'

    call: Annotated[str, _matching(_FUNCTION, "must be written module:function")] = Field(
        description="Your function, module:function; it is called with the value and its context."
    )
    patience: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = Field(
        default=5, description="How many seconds one call may take before the item is refused."
    )


class StrategyForm(Model):
    """One strategy, with its options."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    email: Options | None = Field(default=None, description="An e-mail address becomes a pseudonym.")
    phone: Options | None = Field(default=None, description="A telephone number that belongs to nobody.")
    name: Options | None = Field(default=None, description="The full name of an invented person.")
    given_name: Options | None = Field(default=None, description="A given name.")
    family_name: Options | None = Field(default=None, description="A family name.")
    address: Options | None = Field(default=None, description="A street and a number that are invented.")
    city: Options | None = Field(default=None, description="The name of a city.")
    postcode: Options | None = Field(default=None, description="A postcode of the same form.")
    ssn: Options | None = Field(default=None, description="A social security number that is never issued.")
    date_shift: DateShift | None = Field(default=None, description="A date near the real one, in the same form.")
    number_noise: NumberNoise | None = Field(default=None, description="A number near the real one.")
    text: FreeText | None = Field(
        default=None, description="Free text stays, but for what looks like a phone, SSN, card or IP number."
    )
    redact: Redact | None = Field(default=None, description="A fixed text.")
    drop: Options | None = Field(default=None, description="The value is not written at all.")
    null: Options | None = Field(default=None, description="DynamoDB's NULL.")
    hash: Hash | None = Field(default=None, description="Letters that belong to the value and say nothing of it.")
    keep: Options | None = Field(
        default=None, description="The value stays as it is; e-mail addresses in it are replaced all the same."
    )
    pick: Pick | None = Field(default=None, description="One of the given texts.")
    template: DrawnText | None = Field(default=None, description="A text with letters or digits drawn by the value.")
    hook: Hook | None = Field(default=None, description="What a Python function of yours returns.")

    @property
    def given(self) -> tuple[str, dict[str, Any]]:
        """The name of the one strategy, and the options that the file gave, in their long form."""
        (name,) = self.model_fields_set
        options: Options = getattr(self, name)
        return name, options.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


BUILT_IN: Mapping[str, type[Options]] = {
    name: next(kind for kind in get_args(field.annotation) if kind is not type(None))
    for name, field in StrategyForm.model_fields.items()
}
"""Every strategy of Downstage, and its options."""


def check_bare_name(name: str, own: Collection[str], *, where: str = "") -> None:
    """Raise ValueError, for use after the place, unless `name` is a strategy that can stand there without options."""
    if name in own:
        return
    if name not in BUILT_IN:
        known = [*BUILT_IN, *own]
        close = nearest(name, known)
        hint = f"did you mean '{close}'?" if close else f"known strategies: {', '.join(known)}"
        raise ValueError(f"names the strategy {show_name(name)}{where}, which is not there; {hint}")
    if BUILT_IN[name].example is not None:
        how = f"write {BUILT_IN[name].example}"
        if where:
            how = f"give {BUILT_IN[name].example} a name under 'strategies', and write that name"
        raise ValueError(f"names the strategy '{name}'{where}, which needs options; {how}")


def _strategy(value: Any, _handler: Callable[[Any], Any], info: ValidationInfo) -> StrategyForm | str:
    own: Collection[str] = (info.context or {}).get("own", ())
    if value is None:
        raise ValueError("is empty; write the name of a strategy, such as email")
    if isinstance(value, str):
        check_bare_name(value, own)
        return value if value in own else StrategyForm.model_validate({value: {}})
    if not isinstance(value, dict):
        raise ValueError("must be the name of a strategy, or one with options such as {date_shift: {days: 30}}")
    if len(value) != 1:
        raise ValueError("must name one strategy, its options below it, such as {date_shift: {days: 30}}")
    (name,) = value
    if name in own:
        raise ValueError(f"gives options to '{name}', which is a name of your own; its options stand at 'strategies'")
    if name not in BUILT_IN:
        check_bare_name(name, own)
    return StrategyForm.model_validate(value)


Strategy = Annotated[
    StrategyForm
    | Annotated[
        str,
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": [*(name for name, options in BUILT_IN.items() if options.example is None), None]},
                    {"type": "string", "pattern": f"^{OWN_NAME}$"},
                ],
                "description": "The name of a strategy, or a name of your own from 'strategies'.",
            }
        ),
    ],
    WrapValidator(_strategy),
]
"""A strategy with its options, or a name of one's own for one. The context of the validation holds those as `own`."""
