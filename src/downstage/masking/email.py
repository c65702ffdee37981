"""An address becomes a pseudonym: canonicalise, look at the keep list, recognise our own, or make a token.

Canonical form (`email/v1`, frozen): NFC, lower case, host as IDNA 2008 A-labels, quotes dropped where they quote
nothing. It decides who is the same person; the exact spelling decides only the letter case of the pseudonym.
Plus-tags and dots are not folded: `a+x@` and `a@` may be two accounts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import idna

from downstage.errors import ConfigError
from downstage.masking.address import AT_SIGNS, find
from downstage.masking.keys import MaskKey
from downstage.masking.tokens import LENGTH, Tokens

ALGORITHM = "email/v1 hmac-sha-256"
LONGEST_LOCAL = 64
LONGEST_ADDRESS = 254
_REMEMBERED = 65536
_LONGEST_REMEMBERED = 320
_AT = re.compile(f"[{AT_SIGNS}]")
_ANOTHER = re.compile(rf"[{AT_SIGNS}]|[=%#][^=%#]*?\.[a-z]{{2}}|\.[a-z]{{2,24}}[!=]|#ext#")
"""What an address holds in its local part that is made of somebody else's: VERP, SRS, the percent hack, a bang path, a
guest of a directory."""

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")


class EmailPseudonyms:
    """Pseudonyms of one environment.

    `sink` is a template with one `{token}`, for example `u-{token}@test.example.com`. `keep_domains` and
    `keep_addresses` are exact; what they name stays as it is. Pseudonyms made with one of `old_keys`
    are ours too. Raises ConfigError if the sink cannot hold a token.
    """

    def __init__(
        self,
        key: MaskKey,
        environment: str,
        sink: str,
        keep_domains: Iterable[str] = (),
        keep_addresses: Iterable[str] = (),
        old_keys: Iterable[MaskKey] = (),
    ) -> None:
        self._tokens = Tokens(key, environment)
        self._epochs = (self._tokens, *(Tokens(old, environment) for old in old_keys))
        self._before, _, self._after = sink.partition("{token}")
        sample = f"{self._before}{'a' * LENGTH}{self._after}"
        local = sample.partition("@")[0]
        if sink.count("{token}") != 1 or len(local) > LONGEST_LOCAL or len(sample) > LONGEST_ADDRESS:
            raise ConfigError(
                f"masking.sink: {{token}} must stand in it once, for {LENGTH} letters; with them the address has at "
                f"most {LONGEST_LOCAL} characters before the '@' and {LONGEST_ADDRESS} in all"
            )
        if (
            not sample.isascii()
            or sample.count("@") != 1
            or sample != canonical(sample)
            or list(find(sample)) != [(0, len(sample))]
        ):
            raise ConfigError("masking.sink: it must be one plain address in lower-case ASCII, such as u-{token}@…")
        self._ours = re.compile(
            re.escape(self._before) + f"([A-Za-z]{{{LENGTH}}})" + re.escape(self._after) + r"\Z",
            re.IGNORECASE | re.ASCII,
        )
        self._length = len(sample)
        self._known: dict[str, str] = {}
        self._keep_domains = frozenset(canonical_host(domain) for domain in keep_domains)
        self._keep_addresses = frozenset(canonical(address) for address in keep_addresses)
        self._keeps = bool(self._keep_domains or self._keep_addresses)

    def replace(self, address: str) -> str:
        """The pseudonym of `address`, or `address` itself if it is kept or is a pseudonym of ours already."""
        known = self._known.get(address)
        if known is not None:
            return known
        replaced = self._replaced(address)
        if len(address) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[address] = replaced
            self._known[replaced] = replaced
        return replaced

    def _replaced(self, address: str) -> str:
        if self.is_pseudonym(address):
            return address
        name = canonical(address)
        if self._is_kept(name):
            return address
        return f"{self._before}{self._tokens.token(name, address)}{self._after}"

    def is_kept(self, address: str) -> bool:
        """Whether a keep list names `address`."""
        return self._is_kept(canonical(address))

    def is_pseudonym(self, address: str) -> bool:
        """Whether `address` was made by us with this key or an old one: by its keyed check, not by its domain.

        Characters before it do not matter: an escape such as `\\n` in front of a pseudonym looks like part of it. But
        an `@` before it is an address of somebody else.
        """
        if not address.lower().endswith(self._after):
            return False
        start = max(0, len(address) - self._length)
        match = self._ours.match(address, start)
        if match is None or _AT.search(address, 0, start) is not None:
            return False
        return any(tokens.is_ours(match.group(1)) for tokens in self._epochs)

    def allowed(self, address: str) -> bool:
        """Whether `address` may stand in the target: kept, or a pseudonym of ours."""
        return self.replace(address) == address

    def _is_kept(self, name: str) -> bool:
        """By its canonical form. A domain keeps its own addresses, not those that stand in front of it or are written
        into the local part: `victim@gmail.com@ours.com`, `bounce+victim=gmail.com@ours.com`."""
        if not self._keeps:
            return False
        local, _, host = name.rpartition("@")
        return name in self._keep_addresses or (host in self._keep_domains and _ANOTHER.search(local) is None)

    def key_hash(self, key: str) -> str:
        """A keyed hash that names an item by its exact key: items that differ in a letter's case are two."""
        return self._tokens.fingerprint(key)

    def fingerprint(self, value: str) -> str:
        """A keyed hash that names a value in reports; spellings of one address have the same."""
        return self._tokens.fingerprint(canonical(value) if "@" in value else value)


def canonical(address: str) -> str:
    """The form by which two spellings of one address are one person."""
    if address.isascii() and '"' not in address:
        local, at, host = address.lower().rpartition("@")
        return f"{local}@{host.rstrip('.')}" if at else host
    separator = None
    for separator in _AT.finditer(address):  # noqa: B007  the last one divides
        pass
    if separator is None:
        return _fold(address)
    local, host = address[: separator.start()], address[separator.end() :]
    if len(local) > 2 and local[0] == local[-1] == '"' and _DOT_ATOM.fullmatch(local[1:-1]):
        local = local[1:-1]
    return f"{_fold(local)}@{canonical_host(host)}"


def canonical_host(host: str) -> str:
    """A host as lower-case A-labels; a label that IDNA 2008 does not know as it is, folded."""
    host = _fold(host)
    if not host.isascii():
        host = ".".join(_a_label(label) for label in _DOTS.split(host))
    return host.rstrip(".")


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    try:
        return idna.encode(label, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return label


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
