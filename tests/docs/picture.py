"""The picture of the console in the README, with figures that are made up: ``python -m tests.docs.picture``."""

from collections.abc import Iterator, Sequence
from random import Random
from xml.sax.saxutils import escape

from tests.docs.pages import ROOT

PICTURE = ROOT / "docs/pictures/console.svg"
WIDTH, HEIGHT, MARGIN = 1180, 680, 16
MINUTES = 60
COLOURS = ("first", "second")

STYLE = """
svg{--page:#f6f5f2;--card:#fff;--line:#dcd8d0;--text:#22201c;--quiet:#625d54;--accent:#a3471f;--on:#fff;--good:#1c6b3c;
--warn:#7a5200;--warned:#fff4dc;--second:#2f6f8f}
@media (prefers-color-scheme:dark){svg{--page:#171614;--card:#211f1c;--line:#3b3833;--text:#eceae5;--quiet:#b0aa9f;
--accent:#f0966b;--on:#221006;--good:#6fcf97;--warn:#f2c265;--warned:#35290f;--second:#76bcdc}}
text{font:14px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--text)}
.small{font-size:12px;fill:var(--quiet)}.quiet{fill:var(--quiet)}.head{font-weight:600}.big{font-size:22px}
.code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px}.end{text-anchor:end}.mid{text-anchor:middle}
.good{fill:var(--good)}.on{fill:var(--on)}.page{fill:var(--page)}.card{fill:var(--card);stroke:var(--line)}
.warned{fill:var(--warned);stroke:var(--warn)}.first{fill:var(--accent)}.second{fill:var(--second)}
tspan.first,tspan.second{font-size:14px}.rule{stroke:var(--line)}.pill{fill:none;stroke:var(--good)}.button{fill:var(--card);stroke:var(--quiet)}
"""

TILES = (
    ("Running", "2", "of 8"),
    ("In the queue", "0", "of all callers"),
    ("Answers", "214", "last hour"),
    ("Tokens", "1.2 M", "last hour"),
    ("Cost", "$3.18", "last hour"),
    ("First token", "640 ms", "average, last hour"),
    ("Errors", "1", "last hour"),
)
COLUMNS = (("Time", 30), ("Model", 140), ("Path", 310), ("Result", 530))
NUMBERS = (("Tokens in", 760), ("Tokens out", 870), ("Cost", 950), ("First token", 1060), ("Total", 1150))
REQUESTS = (
    ("10:42:07", "sonnet:chat", "/v1/chat/completions", "stop", "1,204", "312", "$0.008", "580 ms", "4.1 s"),
    ("10:41:52", "sonnet (chat)", "/v1/responses", "completed", "18,330", "96", "$0.014", "710 ms", "2.0 s"),
    ("10:41:30", "docs", "/v1/chat/completions", "stop", "9,412", "1,870", "$0.061", "690 ms", "38.2 s"),
    ("10:40:11", "opus:chat", "/v1/messages", "end_turn", "2,015", "640", "$0.026", "830 ms", "9.7 s"),
)


def drawn() -> str:
    """Return the picture, the same each time."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>The console of claude-relay</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
            *_header(),
            *_approval(62),
            *_tiles(134),
            *_charts(232),
            *_recent(466),
            "</svg>\n",
        )
    )


def _text(x: float, y: float, words: str, names: str = "") -> str:
    shown = f' class="{names}"' if names else ""
    return f'<text{shown} x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, names: str = "card", radius: int = 9) -> str:
    return f'<rect class="{names}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}"/>'


def _header() -> Iterator[str]:
    yield _box(0.5, 0.5, WIDTH - 1, 48)
    yield _text(MARGIN, 30, "claude-relay", "head")
    yield _box(120, 14, 36, 21, "pill", 10)
    yield _text(138, 29, "ok", "small good mid")
    yield _box(170, 9, 84, 31, "first")
    yield _text(212, 30, "Overview", "on mid")
    yield _text(272, 30, "Playground")
    yield _text(370, 30, "Responses")
    yield _text(WIDTH - MARGIN, 29, "Claude Code · local", "small end")


def _approval(top: int) -> Iterator[str]:
    yield _box(MARGIN, top, WIDTH - 2 * MARGIN, 58, "warned")
    yield _text(MARGIN + 16, top + 24, "Waiting for your permission", "head")
    yield _text(MARGIN + 16, top + 46, "Bash  npm test -- --coverage", "code")
    yield _box(WIDTH - 216, top + 14, 88, 30, "first", 6)
    yield _text(WIDTH - 172, top + 34, "Approve", "on mid")
    yield _box(WIDTH - 118, top + 14, 72, 30, "button", 6)
    yield _text(WIDTH - 82, top + 34, "Deny", "mid")


def _tiles(top: int) -> Iterator[str]:
    step = (WIDTH - 2 * MARGIN + 10) / len(TILES)
    for number, (name, value, about) in enumerate(TILES):
        left = MARGIN + number * step
        yield _box(left, top, step - 10, 82)
        yield _text(left + 14, top + 22, name, "small")
        yield _text(left + 14, top + 48, value, "big")
        yield _text(left + 14, top + 69, about, "small")


def _charts(top: int) -> Iterator[str]:
    random = Random(7)
    load = [
        max(0.05, min(1, 0.45 + 0.3 * random.uniform(-1, 1) + 0.25 * (minute % 23 > 14))) for minute in range(MINUTES)
    ]
    cost = [each * random.uniform(0.6, 1) for each in load]
    total = [random.uniform(0.35, 0.9) for _ in load]
    yield from _chart(
        0, top, ("Tokens", ("40,000", "20,000", "0")), (("in", load), ("out", [each / 7 for each in load]))
    )
    yield from _chart(1, top, ("Cost", ("$0.10", "$0.05", "$0")), (("US dollars", cost),))
    yield from _chart(
        2, top, ("Latency", ("20 s", "10 s", "0 s")), (("total", total), ("first token", [0.05] * MINUTES))
    )


def _chart(
    place: int, top: int, words: tuple[str, Sequence[str]], series: Sequence[tuple[str, Sequence[float]]]
) -> Iterator[str]:
    name, scale = words
    step = (WIDTH - 2 * MARGIN + 10) / 3
    left, width, high = MARGIN + place * step, step - 10, 110
    floor = top + 156
    yield _box(left, top, width, 188)
    yield _text(left + 14, top + 25, name, "head")
    keys = "".join(
        f'<tspan class="{colour}" dx="10">\u25a0</tspan> {key}'
        for (key, _), colour in zip(series, COLOURS, strict=False)
    )
    yield f'<text class="small end" x="{left + width - 14:g}" y="{top + 25}">{keys}</text>'
    for number, mark in enumerate(scale):
        line = floor - high + number * high / 2
        yield f'<path class="rule" d="M{left + 62:g} {line:g}H{left + width - 14:g}"/>'
        yield _text(left + 56, line + 4, mark, "small end")
    bar = (width - 76) / MINUTES
    for (_, values), colour in zip(series, COLOURS, strict=False):
        bars = "".join(
            f"M{left + 62 + bar * minute:.1f} {floor}v{-high * value:.1f}h{bar * 0.7:.1f}v{high * value:.1f}z"
            for minute, value in enumerate(values)
        )
        yield f'<path class="{colour}" d="{bars}"/>'
    yield _text(left + 62, floor + 20, "9:43", "small")
    yield _text(left + width - 14, floor + 20, "10:42", "small end")


def _recent(top: int) -> Iterator[str]:
    yield _text(MARGIN, top - 12, "Recent requests", "head")
    yield _box(MARGIN, top, WIDTH - 2 * MARGIN, 38 + 37 * len(REQUESTS) + 12)
    for name, left in COLUMNS:
        yield _text(left, top + 26, name, "head quiet")
    for name, right in NUMBERS:
        yield _text(right, top + 26, name, "head quiet end")
    for number, row in enumerate(REQUESTS):
        line = top + 38 + 37 * number
        yield f'<path class="rule" d="M{MARGIN} {line}H{WIDTH - MARGIN}"/>'
        for (_, left), cell in zip(COLUMNS, row, strict=False):
            yield _text(left, line + 25, cell)
        for (_, right), cell in zip(NUMBERS, row[len(COLUMNS) :], strict=True):
            yield _text(right, line + 25, cell, "end")


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn())
