"""Models as OpenAI describes them on the wire."""

from typing import Literal

from msgspec import Struct


class Model(Struct, frozen=True, kw_only=True):
    """One model that can be asked.

    Attributes:
        id: What to put into a request's ``model``.
        created: Seconds since the epoch.
        owned_by: Who makes it.
        context_length: How many tokens it takes, prompt and answer together (the name is OpenRouter's).
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    context_length: int


class ModelList(Struct, frozen=True, kw_only=True):
    """All models that are worth listing; a request may name others."""

    object: Literal["list"] = "list"
    data: list[Model]
