"""What a request may hold."""

import json
from typing import Any

import pytest

from claude_relay.errors import RelayError
from claude_relay.responses.limits import MOST_ITEMS
from claude_relay.web.body_limits import LONGEST_MODEL, MOST_TOOLS
from tests.unit.responses.bodies import request

TOOL = {"type": "function", "name": "f"}
MANY = [TOOL] * (MOST_TOOLS + 1)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": "m" * (LONGEST_MODEL + 1)}, "model", "string_above_max_length"),
        ({"input": [{}] * (MOST_ITEMS + 1)}, "input", "array_above_max_length"),
        ({"tools": MANY}, "tools", "array_above_max_length"),
        ({"tools": [{"type": "namespace", "tools": MANY}]}, "tools[0].tools", "array_above_max_length"),
        ({"input": [{"tools": MANY}]}, "input[0].tools", "array_above_max_length"),
        ({"input": [{"tools": [{"tools": MANY}]}]}, "input[0].tools[0].tools", "array_above_max_length"),
        (
            {"input": [{"type": "function_call", "arguments": json.dumps([0] * 60_000)}] * 2},
            "input",
            "request_too_complex",
        ),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_read(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RelayError) as raised:
        request(**fields)

    assert (raised.value.param, raised.value.code) == (param, code)


def test_as_much_as_may_be_is_read() -> None:
    assert request(tools=MANY[1:], model="m" * LONGEST_MODEL).tools is not None
