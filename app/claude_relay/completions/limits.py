"""Limits of a completion request, checked before anything iterates over it. Pure."""

from claude_relay.completions.schemas import CompletionRequest
from claude_relay.web import body_limits

MOST_CONTINUATIONS = 128
"""Prompts times ``n``: half as many as may wait in line by default."""


def require_few(request: CompletionRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    if isinstance(request.prompt, list) and all(isinstance(prompt, str) for prompt in request.prompt):
        body_limits.require_few("prompt", request.prompt, MOST_CONTINUATIONS // (request.n or 1))
    body_limits.require_short("model", request.model, body_limits.LONGEST_MODEL)
    body_limits.require_few_stops("stop", request.stop)
