"""The rule about a body's text: JSON without halves of surrogate pairs."""

import re

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def json_refusal(content: bytes) -> str | None:
    r"""Return why the API cannot read this text: a ``\udXXX`` escape without its other half.

    Seen in anthropics/claude-code#60394; the words for a second half without a first are its parser's.
    """
    if b"\\ud" not in content and b"\\uD" not in content:
        return None
    high: int | None = None
    text = content.decode("utf-8", "replace")
    for found in _ESCAPE.finditer(text):
        code = int(found[1], 16) if found[1] else 0
        is_low = 0xDC00 <= code <= 0xDFFF
        if high is not None and (found.start() != high or found[1] is None):
            break
        if high is not None and not is_low:
            return _invalid("invalid low surrogate", high)
        if high is None and is_low:
            return _invalid("invalid high surrogate", found.start())
        high = found.end() if 0xD800 <= code < 0xDC00 else None
    return None if high is None else _invalid("no low surrogate", high)


def _invalid(what: str, position: int) -> str:
    return f"The request body is not valid JSON: {what} in string: line 1 column {position + 1} (char {position})"
