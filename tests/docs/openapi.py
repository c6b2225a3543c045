"""The OpenAPI document as it was agreed on, so that no change of the API goes unnoticed.

``uv run python -m tests.docs.openapi`` writes it anew.
"""

import json
from typing import Any

from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from tests.docs.pages import ROOT

SNAPSHOT = ROOT / "tests/docs/openapi.json"

_UNORDERED = {"required", "enum", "anyOf", "oneOf", "tags"}
"""Lists whose order means nothing."""
_OF_LIBRARIES = {"openapi", "version"}
"""Fields on top that follow the library and the release."""


def document() -> str:
    """Return the present document, with what means nothing put in order or left out."""
    whole = create_app(Settings(), EchoRunner()).openapi_schema.to_schema()
    info = {name: value for name, value in whole["info"].items() if name not in _OF_LIBRARIES}
    kept = {name: value for name, value in whole.items() if name not in _OF_LIBRARIES}
    return json.dumps(_normal({**kept, "info": info}), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _normal(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _normal(each, key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        found = [_normal(each) for each in value]
        return sorted(found, key=lambda each: json.dumps(each, sort_keys=True)) if name in _UNORDERED else found
    return value


if __name__ == "__main__":
    SNAPSHOT.write_text(document())
