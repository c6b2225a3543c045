"""Whatever stands in the place of something else, the request is served or refused with the place."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from claude_relay.errors import RelayError
from claude_relay.responses.controller import read
from claude_relay.responses.inbound import to_question
from claude_relay.settings import Settings
from tests.unit.responses.bodies import CALLER, all_recorded

JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    [],
    [[]],
    [{}],
    [None],
    {},
    {"type": []},
    {"type": "x"},
)
SETTINGS = Settings(personality="chat")
MORE: tuple[dict[str, Any], ...] = (
    {
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "input": [{"role": "user", "content": [{"type": "input_file", "file_data": "data:,x", "filename": "a"}]}],
    },
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """Return a value with something else in one place."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return copy


def bodies() -> list[tuple[str, dict[str, Any]]]:
    recorded = [(path.stem, json.loads(path.read_text())) for path in all_recorded()]
    return [*recorded, *((f"made {number}", body) for number, body in enumerate(MORE))]


def status(body: dict[str, Any]) -> int:
    """Return what a request is answered with."""
    try:
        question = to_question(read(json.dumps(body).encode()), SETTINGS, CALLER)
    except RelayError as error:
        return error.status
    msgspec.json.encode(question.known.echo)
    return 200


@pytest.mark.parametrize(("name", "body"), bodies(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_value_in_the_wrong_place_is_no_mistake_of_the_relay(name: str, body: dict[str, Any]) -> None:
    chosen = random.Random(name)
    every = list(places(body))
    outcomes: Counter[int] = Counter()
    for path in chosen.sample(every, min(len(every), 60)):
        for junk in chosen.sample(JUNK, 5):
            outcomes[status(changed(body, path, junk))] += 1
    assert set(outcomes) <= {200, 400, 404}
    assert outcomes[400]
