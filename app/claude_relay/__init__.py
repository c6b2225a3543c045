"""An OpenAI-compatible API server whose engine is the user's own Claude Code CLI."""

__version__ = "0.1.0"
