"""An OpenAI-compatible API server whose engine is the user's own Claude Code CLI."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claude_relay.asgi import create_app
    from claude_relay.plugin import RelayPlugin
    from claude_relay.settings import Settings

__version__ = "0.1.0"
__all__ = ["RelayPlugin", "Settings", "__version__", "create_app"]

_HOMES = {"RelayPlugin": "plugin", "Settings": "settings", "create_app": "asgi"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line must not wait for a web framework."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
