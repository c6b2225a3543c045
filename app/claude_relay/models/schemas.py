"""Models as OpenAI describes them on the wire."""

from typing import Literal

from msgspec import Struct


class Model(Struct, frozen=True):
    """One model that can be asked.

    Attributes:
        id: What to put into a request's ``model``.
        created: Seconds since the epoch.
        owned_by: Who makes it.
    """

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(Struct, frozen=True):
    """All models that are worth listing; a request may name others."""

    data: list[Model]
    object: Literal["list"] = "list"
