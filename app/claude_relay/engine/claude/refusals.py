"""What models refuse, so that it is not said to them: what is publicly known, and what they have refused so far."""

from collections.abc import Callable, Iterable

from claude_relay.engine.claude.fallback import Refusable, refusables, without
from claude_relay.engine.claude.known_refusals import refused_kinds
from claude_relay.engine.vocabulary import RunRequest

_MOST = 1_000
"""Refusals that are remembered; the one that was learned first is forgotten first."""


class Refusals:
    """The memory of one runner, for one version of the CLI.

    Args:
        full_id: Returns the full id of the model that a name stands for.
    """

    def __init__(self, full_id: Callable[[str], str] = str) -> None:
        self._full_id = full_id
        self._known: dict[tuple[str, Refusable], None] = {}

    def learn(self, model: str, refused: Iterable[Refusable]) -> None:
        """Remember what a model has refused; call it once the model has taken the request without that."""
        for each in refused:
            self._known[self._full_id(model), each] = None
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def without_known(self, request: RunRequest) -> tuple[RunRequest, tuple[str, ...]]:
        """Return the request without what its model is known to refuse, and what of the client's options is missing."""
        missing: tuple[str, ...] = ()
        known: list[Refusable] = []
        model = self._full_id(request.model)
        kinds = refused_kinds(model)
        while found := next(
            (each for each in refusables(request) if each.kind in kinds or (model, each) in self._known), None
        ):
            if found in known:
                # left out for another refusal's sake, and here again for the sake of this one
                break
            known.append(found)
            request, more = without(request, found)
            missing += more
        return request, tuple(dict.fromkeys(missing))
