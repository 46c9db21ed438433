"""Translation memories (TMX) -> (source, target, where), a unit at a time."""

import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.parsers import expat

from nmt.errors import NmtError
from nmt.text.lines import LONGEST_LINE, open_packed

SPACES = re.compile("[ \t\r\n]+")
BLOCK = 1 << 16  # bytes read at a time
MARKUP = (
    "bpt",
    "ept",
    "ph",
    "it",
    "ut",
    "sub",
)  # elements within a segment that hold the format's codes, not its text


def read_tmx(path: Path, source: str, target: str) -> Iterator[tuple[str, str, str]]:
    """The units of a TMX file, plain or packed; a side that a unit lacks is blank. nl stands for
    nl-NL and NL-BE as well.

    Line breaks within a segment are spaces, and the codes of its format are left out.

    Raises:
        NmtError: it is no XML, defines entities (which could grow without bound), or a segment is
            longer than a line may be.
    """
    units = _Units(source, target)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = units.start, units.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = units.text, units.refuse_entity
    try:
        with open_packed(path) as stream:
            for block in iter(lambda: stream.read(BLOCK), b""):
                units.line = lambda: parser.CurrentLineNumber
                parser.Parse(block, False)
                for first, second, line in units.taken():
                    yield first, second, f"{path}:{line}"
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NmtError(
            f"{path}:{error.lineno}: not XML ({expat.ErrorString(error.code)}); is the file"
            " damaged?"
        ) from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise NmtError(
            f"{path}: cannot be read to its end ({error}); is the file damaged?"
        ) from None
    except ValueError as error:
        raise NmtError(f"{path}:{parser.CurrentLineNumber}: {error}") from None


class _Units:
    """Handlers of the parser; `taken` gives the units that are whole."""

    def __init__(self, source: str, target: str) -> None:
        self.languages = source.lower(), target.lower()
        self.line: Callable[[], int] = int
        self._found: list[tuple[str, str, int]] = []
        self._sides: dict[str, str] = {}
        self._language = ""
        self._segment: list[str] | None = None  # the text of the one that is open
        self._size = self._codes = self._begun = 0

    def taken(self) -> list[tuple[str, str, int]]:
        found, self._found = self._found, []
        return found

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "tu":
            self._sides, self._begun = {}, self.line()
        elif name == "tuv":
            self._language = (
                attributes.get("xml:lang", attributes.get("lang", "")).lower().replace("_", "-")
            )
        elif name == "seg":
            self._segment, self._size, self._codes = [], 0, 0
        elif name in MARKUP:
            self._codes += 1

    def end(self, name: str) -> None:
        if name == "tu":
            first, second = (self._side(language) for language in self.languages)
            self._found.append((first, second, self._begun))
        elif name == "seg" and self._segment is not None:
            self._sides.setdefault(
                self._language, SPACES.sub(" ", "".join(self._segment)).strip(" ")
            )
            self._segment = None
        elif name in MARKUP:
            self._codes -= 1

    def text(self, content: str) -> None:
        if self._segment is None or self._codes:
            return
        self._segment.append(content)
        self._size += len(content)
        if self._size > LONGEST_LINE:
            raise ValueError(
                f"a segment of more than {LONGEST_LINE:,} characters; is the file damaged?"
            )

    def refuse_entity(self, name: str, *_: object) -> None:
        raise ValueError(
            f"the file defines an entity, {name!r}, which nmt does not read; take the"
            " definitions out"
        )

    def _side(self, language: str) -> str:
        """The text of a language by its own name, else of the first of its varieties."""
        named = (text for key, text in self._sides.items() if key.split("-")[0] == language)
        return self._sides.get(language) or next(named, "")
