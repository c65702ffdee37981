"""Which keys take part in a sync, and under what name: patterns, and keys that hold somebody's address.

A key with an address must not reach the target as it is. What becomes of it is the pair's `on_personal_key`: it is
reported (and stops the sync before it has begun), left out, or copied to the key in which the address is pseudonymised
as in the tables. Such a key is out of the listing's order, so it never takes part in the merge: on the source's side
personal keys are taken out, on the target's the keys that they are copied to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import translate

from downstage.domain.plan import BucketPair, SyncOptions
from downstage.errors import GuardRefused, MaskingError

KeyMasker = Callable[[str], str]
"""The key with every address pseudonymised; the same text if there is none. Raises MaskingError."""

MOST_PERSONAL = 5_000
"""So many personal keys of one bucket are masked at most: they are carried beside the merge."""

MOST_PERSONAL_BYTES = 350_000
"""So many bytes of them one range may hold: they are carried in one record, which an item of a control table holds."""

_NAMELESS = (
    "refused: the source has an object whose key is the prefix itself, and nothing stands in the prefix's place in the "
    "target: its key would be empty; set a target prefix, or remove that object (nothing more was copied)"
)

PERSONAL = "its key holds an e-mail address"


def unmasked(key: str) -> str:
    """The masker of a sync that looks for nothing."""
    return key


def shown(key: str, masker: KeyMasker, redact: Callable[[str], str]) -> str:
    """The key as a line or a report may show it: without an address, in whatever encoding one is."""
    try:
        return redact(masker(key))
    except MaskingError:
        return "(a key that cannot be masked)"


def known_as(key: str, masker: KeyMasker) -> str | None:
    """A name for a journal: the same for the same key, another for any other, and neither key nor address in it. None
    for a key that cannot be masked."""
    try:
        return hashlib.sha256(masker(key).encode("utf-8", "surrogatepass")).hexdigest()
    except MaskingError:
        return None


def in_target(masker: KeyMasker, options: SyncOptions) -> KeyMasker:
    """The masker for what follows the prefix in the target's keys. An address may begin in the prefix and end in the
    key: only both together tell; a key whose address cannot be masked without the prefix raises MaskingError."""
    prefix = options.target_prefix
    if masker is unmasked or not prefix:
        return masker

    def masked(key: str) -> str:
        whole = masker(prefix + masker(key))
        if not whole.startswith(prefix):
            raise MaskingError("an address begins in the prefix: the key alone cannot be masked")
        return whole[len(prefix) :]

    return masked


def check_bearable(pair: BucketPair, personal: int, weight: int = 0) -> None:
    """Raises GuardRefused if there are more personal keys than can be masked. `weight` is the bytes of those of one
    range."""
    if weight > MOST_PERSONAL_BYTES:
        raise GuardRefused(
            f"refused: the object keys of bucket '{pair.source.name}' that hold e-mail addresses are too long to be "
            f"masked (together over {MOST_PERSONAL_BYTES:,} bytes in one range of keys); set 'on_personal_key: skip', "
            "or leave them out with 'exclude' (nothing was written)"
        )
    if personal > MOST_PERSONAL:
        raise GuardRefused(
            f"refused: more than {MOST_PERSONAL:,} object keys of bucket '{pair.source.name}' hold e-mail addresses, "
            "more than can be masked; set 'on_personal_key: skip', or leave them out with 'exclude' (nothing was "
            "written)"
        )


def masked_keys(personal: Sequence[str], masker: KeyMasker, pair: BucketPair) -> dict[str, str]:
    """For each personal key (relative to the prefix) by its new name the old one. Raises GuardRefused if two would
    become one, if one cannot be masked, or if there are too many."""
    check_bearable(pair, len(personal))
    masker = in_target(masker, pair.options)
    found: dict[str, str] = {}
    for key in personal:
        try:
            masked = masker(key)
        except MaskingError:
            raise GuardRefused(
                "refused: an object key holds an address that cannot be pseudonymised (too deeply encoded, or begun in "
                "'to_prefix'); rename the object, or leave it out with 'exclude' (nothing was copied)"
            ) from None
        if not pair.options.target_prefix + masked:
            raise GuardRefused(_NAMELESS)
        if masked in found:
            raise GuardRefused(
                "refused: two object keys would get the same name when their addresses are pseudonymised; rename one "
                "of the objects, or leave it out with 'exclude' (nothing was copied)"
            )
        found[masked] = key
    return found


class KeyFilter:
    """What of a page takes part. `masked` are the names (relative) that personal keys are copied to."""

    def __init__(self, options: SyncOptions, masker: KeyMasker = unmasked, masked: Collection[str] = ()) -> None:
        self._include = _any_of(options.include)
        self._exclude = _any_of(options.exclude)
        self._nameless = not options.target_prefix
        self._masker = in_target(masker, options)
        self._masked = masked

    def chosen(self, key: str) -> bool:
        """Whether the patterns let the key take part."""
        if self._include is not None and self._include.match(key) is None:
            return False
        return self._exclude is None or self._exclude.match(key) is None

    @property
    def takes_all(self) -> bool:
        """Whether there are no patterns."""
        return self._include is None and self._exclude is None

    def is_personal(self, key: str) -> bool:
        """Whether the key holds an address; one that cannot be looked into is taken to."""
        try:
            return self._masker(key) != key
        except MaskingError:
            return True

    def source(self, keys: list[str]) -> tuple[Mapping[int, None] | None, list[str]]:
        """Of a page of the source: the places that do not take part (None: all do), and the personal keys."""
        left_out: dict[int, None] = {}
        personal: list[str] = []
        if not self.takes_all:
            left_out = dict.fromkeys(place for place, key in enumerate(keys) if not self.chosen(key))
        if self._masker is not unmasked:
            for place, key in enumerate(keys):
                if place not in left_out and self.is_personal(key):
                    left_out[place] = None
                    personal.append(key)
        if self._nameless and "" in keys[:1] and 0 not in left_out:
            raise GuardRefused(_NAMELESS)
        if self._masked and any(key in self._masked and place not in left_out for place, key in enumerate(keys)):
            raise GuardRefused(
                "refused: an object of the source has the very name that another gets when its address is "
                "pseudonymised; rename one of them, or leave it out with 'exclude'"
            )
        return left_out or None, personal

    def target(self, keys: list[str]) -> Mapping[int, None] | None:
        """Of a page of the target: the places that do not take part; None if all do."""
        if self.takes_all and not self._masked:
            return None
        return (
            dict.fromkeys(place for place, key in enumerate(keys) if key in self._masked or not self.chosen(key))
            or None
        )


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns)) if patterns else None
