"""What the parts of a message come to, in families that pass over what they do not know."""

from collections.abc import Iterable

from msgspec import Struct

from claude_relay.engine.vocabulary import Piece


class Content(Struct, frozen=True):
    """What a list of parts comes to.

    Attributes:
        pieces: Its pieces, without empty texts, which the upstream refuses.
        ignored: Names of what has no effect.
    """

    pieces: tuple[Piece, ...]
    ignored: tuple[str, ...] = ()


def joined(found: Iterable[Content]) -> Content:
    """Return what several lists of parts come to together."""
    found = tuple(found)
    return Content(
        tuple(piece for one in found for piece in one.pieces), tuple(name for one in found for name in one.ignored)
    )
