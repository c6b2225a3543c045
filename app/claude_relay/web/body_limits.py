"""How much a request may hold, checked before anything decodes it or iterates over it. Pure.

OpenAI's own limits are lower; these keep the time bounded in which one request has the server to itself.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized

from claude_relay.errors import InvalidRequestError, text_too_long, too_long

MOST_VALUES = 100_000
"""Values of JSON, names of fields aside, in a body that is large; and in the arguments of all past calls together."""
MOST_UNKNOWN = 1_000
"""Fields that are no parameters."""
LONGEST_NUMBER = 128
"""Digits in a row, in JSON that is large: the time that a whole number takes grows with the square of them."""
LARGE = 64 * 1024
"""Bytes from which on JSON may hold more than can be read in a moment."""
MOST_TOOLS = 1_024
"""Tools of a list."""
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
LONGEST_MODEL = 5_000
"""Characters. Every answer, and every chunk of one, tells the model's name."""

_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_LONG = b"0" * (LONGEST_NUMBER + 1)
_STRIDE = 16
_MANY = b"0" * (LONGEST_NUMBER // _STRIDE)
_PIECE = 1024 * 1024
"""Bytes that are looked at without a break."""


def require_few(param: str, found: Sized | None, most: int) -> None:
    """Check the length of a list.

    Args:
        param: Its path in the request.
        found: The list, if there is one.
        most: Items that it may have.

    Raises:
        InvalidRequestError: It has more.
    """
    if found is not None and len(found) > most:
        raise too_long(param, most, len(found))


def require_short(param: str, text: str | None, longest: int) -> None:
    """Check the length of a text.

    Args:
        param: Its path in the request.
        text: The text, if there is one.
        longest: Characters that it may have.

    Raises:
        InvalidRequestError: It has more.
    """
    if text is not None and len(text) > longest:
        raise text_too_long(param, longest, len(text))


def require_few_stops(param: str, stop: str | Sequence[str] | None) -> None:
    """Check the number of stop sequences and the length of each.

    Args:
        param: The parameter that has them.
        stop: One, or several.

    Raises:
        InvalidRequestError: There are too many, or one is too long.
    """
    if isinstance(stop, str):
        require_short(param, stop, LONGEST_STOP)
        return
    require_few(param, stop, MOST_STOPS)
    for index, text in enumerate(stop or ()):
        require_short(f"{param}[{index}]", text, LONGEST_STOP)


def require_readable_arguments(param: str, written: Sequence[str]) -> None:
    """Check the arguments of past calls, which are JSON inside strings and were not counted with the body.

    Args:
        param: The parameter that has the calls.
        written: The arguments of each.

    Raises:
        InvalidRequestError: They have more values in them, or longer numbers, than can be read in a moment.
    """
    if sum(map(len, written)) > LARGE:
        documents = [arguments.encode() for arguments in written]
        look_over(documents, f"'{param}'", "values in the arguments of calls", param)


def require_readable(body: bytes) -> None:
    """Check the size of a body's content without decoding it.

    Raises:
        InvalidRequestError: It has more values in it, or longer numbers, than can be read in a moment.
    """
    if len(body) > LARGE:
        look_over([body], "The body", "values", None)


def outside_of_texts(json: bytes) -> Iterator[bytes]:
    """Yield the parts of JSON outside of strings, piece by piece.

    Args:
        json: It need not be valid.
    """
    start = inside = 0
    while start < len(json):
        piece = json[start : start + _PIECE]
        if _ends_in_an_escape(piece):
            piece = json[start : start + _PIECE + 1]
        start += len(piece)
        # with all escapes gone, texts begin and end at quotation marks
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[inside::2])
        inside ^= (len(parts) - 1) & 1


def look_over(documents: Sequence[bytes], what: str, things: str, param: str | None) -> None:
    """Check the number of values in JSON documents together, without names of fields, and the length of each number.

    Args:
        documents: The JSON; it need not be valid.
        what: What it stands in, for the error.
        things: What is counted, for the error.
        param: The parameter at fault.

    Raises:
        InvalidRequestError: There are more, or longer ones.
    """
    if not _may_be_too_much(documents):
        return
    found = 0
    for document in documents:
        digits = b""
        for piece in outside_of_texts(document):
            found += _values(piece)
            if found > MOST_VALUES:
                raise too_much(what, things, MOST_VALUES, param)
            digits = digits[-LONGEST_NUMBER:] + piece.translate(_DIGITS)
            if _TOO_LONG in digits:
                raise too_much(what, "digits in a number", LONGEST_NUMBER, param)


def _may_be_too_much(documents: Iterable[bytes]) -> bool:
    """Check quickly, with strings counted too: what is within the limits then is so without strings."""
    found = 0
    for document in documents:
        digits = b""
        for start in range(0, len(document), _PIECE):
            piece = document[start : start + _PIECE]
            found += _values(piece)
            # a number that is too long has many digits in a row, also where only each of so many characters is seen
            digits = digits[-len(_MANY) :] + piece[::_STRIDE].translate(_DIGITS)
            if found > MOST_VALUES or _MANY in digits:
                return True
    return False


def _values(json: bytes) -> int:
    return json.count(b",") + json.count(b"[") + json.count(b"{")


def _ends_in_an_escape(piece: bytes) -> bool:
    return (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def too_much(what: str, things: str, most: int, param: str | None) -> InvalidRequestError:
    """Return the error for a body, or a part of it, that holds more than can be read in a moment."""
    return InvalidRequestError(
        f"{what} must not have more than {most:,} {things}.",
        param=param,
        code="request_too_complex",
    )
