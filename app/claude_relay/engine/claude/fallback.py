"""When the upstream refuses a request for one of its options: the same request without that option. Pure."""

from msgspec.structs import replace

from claude_relay.engine.vocabulary import RunRequest
from claude_relay.errors import RelayError

_SAMPLING = ("top_k", "top_p", "temperature")
"""Fields that some models refuse, alone or together; the one that matters least comes first."""


def without_refused(request: RunRequest, error: RelayError) -> tuple[str | None, RunRequest | None]:
    """Return the field that was refused, and the request to ask instead, or None if there is nothing to leave out.

    An upstream that refuses a schema says so in many ways, so any refusal of a constrained answer counts as that; it is
    asked for by another way then, and no field is missing.

    Args:
        request: What was refused.
        error: How it was refused.
    """
    if error.status != 400 or error.code is not None:  # noqa: PLR2004 - HTTP's own number
        return None, None
    for name in _SAMPLING:
        if getattr(request.sampling, name) is not None and name in error.message:
            return name, replace(request, sampling=replace(request.sampling, **{name: None}))
    if request.output is not None and request.output.format is not None:
        return None, replace(request, output=replace(request.output, format=None))
    return None, None
