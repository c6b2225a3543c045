"""Schemas that tests are made of."""

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
SOON = 2.0
"""Seconds of work that nothing here may take, on a slow machine."""


def chained(length: int, link: Callable[[str], Schema]) -> Schema:
    """Return a schema whose definitions refer each to the next."""
    definitions: Schema = {f"d{number}": link(f"#/$defs/d{number + 1}") for number in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "integer"}}}


def twice(keyword: str) -> Callable[[str], Schema]:
    return lambda reference: {keyword: [{"$ref": reference}, {"$ref": reference}]}
