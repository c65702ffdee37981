"""A person who is spelled in the local part of an address: `bounce+bob=gmail.com@ourco.com` is about bob@gmail.com.

A kept domain keeps its own addresses. Bounce paths (VERP), rewritten senders (SRS), the percent hack, bang paths and
the names of guests in a directory put somebody else's whole address before the `@`; that is no address of the domain,
whatever the keep list says. It counts only if it fills the end of the local part, where those forms have it, so
that the other values of a query string (`?next=shop.com&mail=ann@…`) do not. Where a text may mean something else
(`?mail=jo.li@…`), the host must end in a well-known top-level domain.
"""

from __future__ import annotations

import re

from downstage.verify.domains import COMMON_TOP_LEVEL

NOBODY = "no-one.downstage-probe"
"""A local part that no keep list names: whether `NOBODY@host` is allowed says whether the domain is kept."""

_LONGEST = 320
_SIGNS = re.compile(r"[=%!#]")
_LABELS = r"(?:[^\W_](?:[\w\-]{0,61}[^\W_])?\.){1,8}"
_ANY = rf"{_LABELS}(?:[^\W\d_]{{2,24}}|xn--[0-9A-Za-z\-]+)"
_KNOWN = rf"{_LABELS}(?:{COMMON_TOP_LEVEL})"
_WHO = r"[\w.+\-]{1,64}"

_SENDER_REWRITTEN = re.compile(rf"SRS[01][=+\-].{{0,200}}?=({_ANY})=({_WHO})", re.IGNORECASE)
_BANG = re.compile(rf"(?:^|[^\w.\-])({_ANY})!(?:[\w.\-]{{1,64}}!)*({_WHO})$")
_GUEST = re.compile(rf"({_WHO})_({_ANY})#EXT#?$", re.IGNORECASE)
_PERCENT = re.compile(rf"({_WHO})(?<!%[89A-Fa-f][0-9A-Fa-f])%(?![0-7][0-9A-Fa-f])({_ANY})$")
_TAGGED = re.compile(rf"\+({_WHO})=({_ANY})$")
_ESCAPE = r"0[0-9AD]|2[0-9A-F]|3[A-F]|40|5[B-F]|7[B-F]"
_BOUNCED = re.compile(rf"(?<![?&;\w.+\-])(?<!prvs=)({_WHO})=(?!(?-i:{_ESCAPE}))({_KNOWN})$", re.IGNORECASE)
_REVERSED = re.compile(rf"(?<![?&;\w.])({_KNOWN})=({_WHO})$", re.IGNORECASE)
_MAIL_HOSTS_END = frozenset(
    ("com", "net", "org", "edu", "gov", "mil", "info", "biz", "io", "co", "us", "uk", "ca", "de", "fr")
)
"""Where nothing but a `=` speaks for a person (`x=jo.li@…`), the top-level domains that are taken for a host's."""

_PARAMETERS = frozenset(
    re.findall(
        r"[a-z\-]+",
        """
        account address author bcc cc contact customer e-mail email from id key login mail member name owner q query
        recipient reply-to sender subject to user username who
        """,
    )
)
"""Names of parameters, before whose `=` nobody stands."""


def spelled_in(local: str) -> str | None:
    """The address of somebody else that stands in a local part, in the usual spelling; None if there is none."""
    if not _SIGNS.search(local) or len(local) > _LONGEST:
        return None
    for pattern in (_SENDER_REWRITTEN, _BANG, _REVERSED):
        found = pattern.search(local)
        if found:
            return f"{found[2]}@{found[1]}"
    for pattern in (_GUEST, _PERCENT, _TAGGED):
        found = pattern.search(local)
        if found:
            return f"{found[1]}@{found[2]}"
    found = _BOUNCED.search(local)
    if found is None or found[1].lower() in _PARAMETERS:
        return None
    who, host = found.groups()
    is_tagged = "-" in who or "+" in who
    return f"{who}@{host}" if is_tagged or host.rpartition(".")[2].lower() in _MAIL_HOSTS_END else None
