"""Models as OpenAI and Anthropic describe them on the wire: one object is both."""

from typing import Literal

from msgspec import Struct


class Model(Struct, frozen=True, kw_only=True):
    """One model that can be asked.

    Attributes:
        id: What to put into a request's ``model``.
        created: Seconds since the epoch.
        owned_by: Who makes it.
        context_length: How many tokens it takes, prompt and answer together (the name is OpenRouter's).
        type: What it is, in Anthropic's words.
        display_name: What people call it.
        created_at: ``created`` as Anthropic writes it.
        lifecycle: Whether it can be asked; of others nobody here knows.
        max_input_tokens: What Anthropic calls ``context_length``.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    context_length: int
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int


class ModelList(Struct, frozen=True, kw_only=True):
    """All models that are worth listing, on one page; a request may name others.

    Attributes:
        data: The models.
        has_more: Whether there are further pages.
        first_id: The id of the first one.
        last_id: The id of the last one.
    """

    object: Literal["list"] = "list"
    data: list[Model]
    has_more: Literal[False] = False
    first_id: str | None
    last_id: str | None
