"""A line as it is typed, key by key: what a terminal would do itself, were we not to draw around it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from enum import Enum
from typing import Final

import attrs


class Key(Enum):
    """What was typed that is no text."""

    END = "Ctrl-D on an empty line"
    REDRAW = "Ctrl-L"


_BACKSPACE: Final = ("\x7f", "\b")
_LONGEST: Final = 4096


@attrs.define
class LineEditor:
    """Bytes of a terminal in, whole lines out. `text` is what stands on the line that is being typed."""

    text: str = ""
    _decode: codecs.IncrementalDecoder = attrs.field(factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _escape: str = ""

    def feed(self, data: bytes) -> Iterator[str | Key]:
        """The lines that are whole by these bytes, and keys that are no text, in their order."""
        for character in self._decode.decode(data):
            done = self._type(character)
            if done is not None:
                yield done

    def _type(self, character: str) -> str | Key | None:
        if self._escape:
            self._escaped(character)
        elif character in "\r\n":
            line, self.text = self.text, ""
            return line
        elif character == "\x04":
            return None if self.text else Key.END
        elif character == "\x0c":
            return Key.REDRAW
        else:
            self._edit(character)
        return None

    def _edit(self, character: str) -> None:
        if character == "\x1b":
            self._escape = character
        elif character in _BACKSPACE:
            self.text = self.text[:-1]
        elif character == "\x15":
            self.text = ""
        elif character == "\x17":
            self.text = " ".join(self.text.rstrip().split(" ")[:-1])
            self.text += " " if self.text else ""
        elif character.isprintable() and len(self.text) < _LONGEST:
            self.text += character

    def _escaped(self, character: str) -> None:
        """Arrow keys and the like do nothing: ESC and a letter, or ESC [ and so on up to a letter."""
        if self._escape == "\x1b" and character in "[O":
            self._escape += character
        elif self._escape == "\x1b" or "@" <= character <= "~":
            self._escape = ""
