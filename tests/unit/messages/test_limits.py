"""What a request has too much of is refused before anything is done with it."""

from typing import Any

import pytest

from claude_relay.messages.limits import MOST_MESSAGES
from claude_relay.web.body_limits import LONGEST_MODEL, LONGEST_STOP, MOST_STOPS, MOST_TOOLS
from tests.unit.messages.bodies import HELLO, TOOL, refusal, request


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [HELLO] * (MOST_MESSAGES + 1)}, "messages"),
        ({"tools": [TOOL] * (MOST_TOOLS + 1)}, "tools"),
        ({"stop_sequences": ["x"] * (MOST_STOPS + 1)}, "stop_sequences"),
        ({"stop_sequences": ["ok", "x" * (LONGEST_STOP + 1)]}, "stop_sequences[1]"),
        ({"model": "x" * (LONGEST_MODEL + 1)}, "model"),
    ],
)
def test_more_is_refused_with_its_name(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)

    assert (error.status, error.param) == (400, param)
    assert "too long" in error.message


def test_as_much_as_that_is_read() -> None:
    read = request(
        messages=[HELLO] * MOST_MESSAGES,
        stop_sequences=["x" * LONGEST_STOP] * MOST_STOPS,
        model="x" * LONGEST_MODEL,
    )

    assert len(read.messages) == MOST_MESSAGES
