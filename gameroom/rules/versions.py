"""Versions of games: what may be one, and which is the newest (spec: lobby.md, Developer commands).

Semantic Versioning 2.0, where MAJOR and MAJOR.MINOR are read as with zeros.
"""

from __future__ import annotations

import attrs
import semver

from gameroom.errors import InvalidRequest

LONGEST = 64


@attrs.frozen
class GameVersion:
    """A version as its developer wrote it, and its place among the others."""

    text: str
    precedence: bytes
    """Byte strings that compare as semver precedence does; those of equal versions (build metadata aside) are equal.

    The same bytes order versions in both databases, whatever their collation.
    """
    pre_release: bool

    @property
    def rank(self) -> tuple[bool, bytes]:
        """The latest version is the one of the highest rank: a release wherever there is one."""
        return not self.pre_release, self.precedence


def parse(text: str) -> GameVersion:
    """Read a version; raises `InvalidRequest`."""
    try:
        if len(text) > LONGEST:
            raise ValueError
        version = semver.Version.parse(text, optional_minor_and_patch=True)
    except ValueError:
        raise InvalidRequest(
            f"version must be up to {LONGEST} characters as MAJOR.MINOR.PATCH, say 1.2.0 or 2.0.0-beta.1 (semver.org)", pointer="/version"
        ) from None
    core = b"".join(_number(str(number)) for number in (version.major, version.minor, version.patch))
    return GameVersion(text, core + _pre_release(version.prerelease), version.prerelease is not None)


# A number is led by how many digits it has, so that more digits sort higher.
# After the three numbers comes 0xFF for a release, or the pre-release's identifiers and 0x00:
# 0x01 and a number, or 0x02, letters and 0x00. So the end sorts before any identifier, numbers sort before
# letters, and every pre-release before the release.


def _number(digits: str) -> bytes:
    return bytes([len(digits)]) + digits.encode()


def _pre_release(identifiers: str | None) -> bytes:
    if identifiers is None:
        return b"\xff"
    return b"".join(_identifier(each) for each in identifiers.split(".")) + b"\x00"


def _identifier(text: str) -> bytes:
    return b"\x01" + _number(text) if text.isdigit() else b"\x02" + text.encode() + b"\x00"
