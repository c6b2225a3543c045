"""Limits of a completion request, checked before anything iterates over it. Pure."""

from collections.abc import Iterator

from claude_relay.completions.schemas import CompletionRequest
from claude_relay.errors import text_too_long, too_long

MOST_CONTINUATIONS = 128
"""Prompts times ``n``: half as many as may wait in line by default."""
MOST_STOPS = 64
LONGEST_STOP = 1_000
"""Characters."""
LONGEST_MODEL = 5_000
"""Characters. Every chunk of an answer tells the model's name."""


def require_few(request: CompletionRequest) -> None:
    """Check the lengths of a request's lists and texts.

    Raises:
        InvalidRequestError: One is too long.
    """
    if isinstance(request.prompt, list) and all(isinstance(prompt, str) for prompt in request.prompt):
        most = MOST_CONTINUATIONS // (request.n or 1)
        if len(request.prompt) > most:
            raise too_long("prompt", most, len(request.prompt))
    if isinstance(request.stop, list) and len(request.stop) > MOST_STOPS:
        raise too_long("stop", MOST_STOPS, len(request.stop))
    for param, text, longest in _texts(request):
        if len(text) > longest:
            raise text_too_long(param, longest, len(text))


def _texts(request: CompletionRequest) -> Iterator[tuple[str, str, int]]:
    yield "model", request.model or "", LONGEST_MODEL
    if isinstance(request.stop, str):
        yield "stop", request.stop, LONGEST_STOP
        return
    for index, stop in enumerate(request.stop or ()):
        yield f"stop[{index}]", stop, LONGEST_STOP
