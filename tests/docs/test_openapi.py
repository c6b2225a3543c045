"""The API is what was agreed on; ``uv run python -m tests.docs.openapi`` agrees on another one."""

import json

from tests.docs.openapi import SNAPSHOT, document


def test_the_openapi_document_is_the_one_that_was_agreed_on() -> None:
    assert json.loads(document()) == json.loads(SNAPSHOT.read_text())
