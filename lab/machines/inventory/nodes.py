"""From YAML text to nodes that know their lines, without aliases, anchors, tags or traces."""

import re
from typing import Any

import yaml

from pushpull.core.errors import InventoryError

_MAX_DEPTH = 20
_MAX_NODES = 100_000
_MAX_SHOWN = 100

# The tag of a value that was already reported, so that it is not reported twice.
REFUSED = "!refused"

_TOO_MUCH = "too much"
_HALF = re.compile("[\ud800-\udfff]")

# PyYAML's message, the message for the user, and the hint. The first match counts.
_PLAIN_WORDS = (
    (
        _TOO_MUCH,
        "this is nested too deeply, or is too long",
        "write an inventory, which `count:` keeps short, or fewer rows",
    ),
    ("'\\t'", "there is a tab", "indent with spaces"),
    ("cannot start any token", "a text can't begin with this character", "put the text in quotes"),
    (
        "mapping values are not allowed",
        "there is a `:` where no key can be",
        "correct the indentation, or quote a text that has `: ` in it",
    ),
    ("another document", "a second document begins", "keep one; delete the `---` between them"),
    ("unexpected end of stream", "the quote that begins here is never closed", "close it"),
    (
        "expected ',' or '}'",
        "this `{` is never closed, or a comma is missing after it",
        "close it with `}`, and separate the parts with commas",
    ),
    (
        "expected ',' or ']'",
        "this `[` is never closed, or a comma is missing after it",
        "close it with `]`, and separate the parts with commas",
    ),
    ("expected ':'", "a key has no `:`", "write `key: value`, with a space after the colon"),
    (
        "<block end>",
        "this line doesn't match those above it",
        "indent it like its neighbours; quote a whole value, not only its beginning",
    ),
)


class Mistakes:
    """The mistakes found so far in one file; true if there are any."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, line: int, what: str, hint: str) -> None:
        """Note one mistake; `what` and `hint` become one sentence."""
        self._found.append((line, f"{self._file}:{line}: {what} - {hint}"))

    def error(self) -> InventoryError:
        """Return all of them, one per line, in file order."""
        lines = [text for _, text in sorted(self._found, key=lambda mistake: mistake[0])]
        more = len(lines) - _MAX_SHOWN
        if more > 0:
            lines[_MAX_SHOWN:] = [f"{self._file}: and {more} more mistakes - fix these first"]
        return InventoryError("\n".join(lines))


def shown(text: str) -> str:
    """Return `text` in quotes, shortened and without terminal escapes."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def line_of(node: yaml.Node) -> int:
    """Return the line, from 1, on which a node begins."""
    return int(node.start_mark.line) + 1


def compose(
    text: str, mistakes: Mistakes, *, keys: str = "`network:` and `machines:`"
) -> yaml.MappingNode | None:
    """Return the file's outermost mapping, or None if there is none: then there are mistakes.

    `keys` are those that it should have, for the messages.
    """
    composer = None
    try:
        composer = _Composer(text, mistakes)
        root = composer.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sign = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        mistakes.add(line, sign, "delete it")
    except yaml.MarkedYAMLError as error:
        _add_yaml_error(error, mistakes)
    except (ValueError, OverflowError):
        # PyYAML lets errors of int() and chr() pass, for numbers in a directive or an escape.
        line = int(composer.line) + 1 if composer else 1
        mistakes.add(line, "a number is too large to be an escape or a version", "correct it")
    else:
        if isinstance(root, yaml.MappingNode):
            return root
        if root is None:
            mistakes.add(1, "the file is empty", f"give it {keys}")
        elif root.tag != REFUSED:
            mistakes.add(line_of(root), "these are not keys", f"write {keys}")
    return None


def _add_yaml_error(error: yaml.MarkedYAMLError, mistakes: Mistakes) -> None:
    problem = error.problem or "something"
    mark = error.problem_mark or error.context_mark
    # PyYAML notices an unclosed bracket at the end; the line where it was opened helps more.
    if "end of stream" in problem or "expected ',' or" in problem:
        mark = error.context_mark or mark
    line = int(mark.line) + 1 if mark else 1
    for sign, what, hint in _PLAIN_WORDS:
        if sign in problem:
            mistakes.add(line, what, hint)
            return
    mistakes.add(line, f"this is not YAML: {problem}", "correct or quote it")


class _Composer(yaml.SafeLoader):
    """Makes nodes but no values. Reports what could grow without bounds, and doesn't expand it."""

    def __init__(self, text: str, mistakes: Mistakes) -> None:
        super().__init__(text)
        self._mistakes = mistakes
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._nodes += 1
        if self._depth >= _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise yaml.MarkedYAMLError(problem=_TOO_MUCH, problem_mark=event.start_mark)
        if self.check_event(yaml.AliasEvent):
            self._refuse(event, f"the alias {shown(event.anchor or '')}", "write out its content")
            self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(REFUSED, "", event.start_mark, event.end_mark)
        self._strip(event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _strip(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"the anchor {shown(event.anchor)}", "delete it")
            event.anchor = None
        is_scalar = isinstance(event, yaml.ScalarEvent)
        if event.tag is not None:
            self._refuse(event, f"the tag {shown(event.tag)}", "delete it")
            event.tag = None
            event.implicit = (event.style is None, True) if is_scalar else True
        # "\ud800" in quotes is half a character, which can't be printed or encoded.
        if is_scalar and _HALF.search(event.value):
            self._refuse(event, f"the half character in {shown(event.value)}", "write it whole")
            event.tag, event.value = REFUSED, ""

    def _refuse(self, event: Any, what: str, hint: str) -> None:
        self._mistakes.add(int(event.start_mark.line) + 1, f"{what} is not allowed here", hint)
