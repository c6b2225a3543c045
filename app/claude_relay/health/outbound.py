"""Runner's health -> body. Pure."""

from msgspec import UNSET

from claude_relay import __version__
from claude_relay.engine.runner import RunnerHealth
from claude_relay.health.schemas import Health


def status_only(health: RunnerHealth) -> Health:
    """Return the body for strangers."""
    return Health(health.status)


def full_health(runner: str, health: RunnerHealth) -> Health:
    """Return the body for a runner's health."""
    return Health(
        status=health.status,
        version=__version__,
        runner=runner,
        detail=health.detail,
        reason=health.reason or UNSET,
        remedy=health.remedy or UNSET,
    )
