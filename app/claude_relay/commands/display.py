"""How an answer is shown as it comes: on a terminal, or as plain text for programs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.json import JSON
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.text import Text

from claude_relay.engine.vocabulary import Event, TextDelta, ThinkingDelta, ToolActivity

Show = Callable[[Event], None]
"""Shows what an event adds."""

_FRAMES = 12
"""Times a second that a terminal is drawn."""
_THINKING_LINES = 6
_LINES_LEFT = 4
"""Lines of a terminal that an answer under way leaves for what else is to be seen."""
_KEPT = "\n\t"
_LOOKED_AT = 10_000
"""Characters of which the last lines are shown."""


def display(console: Console, *, is_json: bool) -> AbstractContextManager[Show]:
    """Return what shows an answer until the block ends.

    Args:
        console: Where to.
        is_json: Whether the answer is JSON, not Markdown.
    """
    return _on_terminal(console, is_json=is_json) if console.is_terminal else _plain(console.file)


def visible(text: str) -> str:
    """Return a text without what a terminal would do something with."""
    return "".join(character for character in text if character.isprintable() or character in _KEPT)


@contextmanager
def _plain(file: IO[str]) -> Iterator[Show]:
    last = ""

    def show(event: Event) -> None:
        nonlocal last
        if isinstance(event, TextDelta):
            file.write(event.text)
            file.flush()
            last = event.text[-1:] or last

    yield show
    if last not in {"", "\n"}:
        file.write("\n")
        file.flush()


@contextmanager
def _on_terminal(console: Console, *, is_json: bool) -> Iterator[Show]:
    """What comes is shown under a spinner, and in the end, or when it breaks off, the answer in its place."""
    progress = _Progress()
    try:
        with Live(progress, console=console, transient=True, refresh_per_second=_FRAMES):
            yield progress.show
    finally:
        if text := progress.text.strip():
            console.print(_rendered(text, is_json=is_json))


def _rendered(text: str, *, is_json: bool) -> JSON | Markdown:
    if is_json:
        try:
            return JSON(text)
        except ValueError:
            # it was cut off
            return Markdown(f"```\n{text}\n```")
    return Markdown(text)


class _Progress:
    """What is to be seen of an answer under way.

    Attributes:
        text: The answer so far.
    """

    def __init__(self) -> None:
        self.text = ""
        self._thinking = ""
        self._spinner = Spinner("dots", Text("waiting"))

    def show(self, event: Event) -> None:
        """Take an event; it is drawn with the next frame."""
        match event:
            case TextDelta(piece):
                self.text += visible(piece)
                self._says("writing")
            case ThinkingDelta(piece):
                self._thinking += visible(piece)
                self._says("thinking")
            case ToolActivity(tool, summary):
                self._says(visible(f"{tool}: {summary}" if summary else tool))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the last lines of thinking, dimmed, and of the answer, and what goes on."""
        room = max(1, options.size.height - _LINES_LEFT)
        shown: list[Text | Spinner] = []
        if self._thinking and not self.text:
            shown.append(_last_lines(console, Text(self._thinking[-_LOOKED_AT:], style="dim"), _THINKING_LINES))
        if self.text:
            shown.append(_last_lines(console, Text(self.text[-_LOOKED_AT:]), room))
        yield Group(*shown, self._spinner)

    def _says(self, what: str) -> None:
        self._spinner.update(text=Text(what, style="dim"))


def _last_lines(console: Console, text: Text, most: int) -> Text:
    lines = text.wrap(console, console.width)
    return Text("\n").join(list(lines)[-most:])
