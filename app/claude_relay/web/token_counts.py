"""How responses say that a count of tokens is an estimate."""

from collections.abc import Mapping

ESTIMATED: Mapping[str, str] = {"x-claude-relay-token-count": "estimate"}
"""Headers of a response whose count nobody but the relay has made."""
