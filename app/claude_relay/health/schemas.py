"""The body of ``/health``."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType


class Health(Struct, frozen=True):
    """How the relay is; those who may not call otherwise are told the status alone.

    Attributes:
        status: ``ok``, ``degraded`` when chat requests will fail, or ``draining`` when the relay is about to stop.
        version: The relay's version.
        runner: The engine: ``claude`` or ``echo``.
        detail: Facts about the engine.
        reason: Why it is degraded; only then.
        remedy: What to do about it; only then.
    """

    status: Literal["ok", "degraded", "draining"]
    version: str | UnsetType = UNSET
    runner: str | UnsetType = UNSET
    detail: Mapping[str, Any] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
