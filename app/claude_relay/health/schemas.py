"""The body of ``/health``."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType


class Health(Struct, frozen=True):
    """How the relay is.

    Attributes:
        status: ``ok``, or ``degraded`` when chat requests will fail.
        version: The relay's version.
        runner: The engine: ``claude`` or ``echo``.
        detail: Facts about the engine.
        reason: Why it is degraded; only then.
        remedy: What to do about it; only then.
    """

    status: Literal["ok", "degraded"]
    version: str
    runner: str
    detail: Mapping[str, Any]
    reason: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
