"""What models have refused so far, so that it is not said to them again."""

from collections.abc import Iterable

from claude_relay.engine.claude.fallback import Refusable, refusables, without
from claude_relay.engine.constraints import has_thinking_budget
from claude_relay.engine.vocabulary import RunRequest

_MOST = 1_000
"""Refusals that are remembered; the one that was learned first is forgotten first."""


class Refusals:
    """The memory of one runner, for one version of the CLI."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Refusable], None] = {}

    def learn(self, model: str, refused: Iterable[Refusable]) -> None:
        """Remember what a model has refused; call it once the model has taken the request without that."""
        for each in refused:
            self._known[model, each] = None
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]

    def without_known(self, request: RunRequest) -> tuple[RunRequest, tuple[str, ...]]:
        """Return the request without what its model is known to refuse, and what of the client's options is missing."""
        missing: tuple[str, ...] = ()
        known: list[Refusable] = []
        while found := next((each for each in refusables(request) if self._knows(request.model, each)), None):
            if found in known:
                # left out for another refusal's sake, and here again for the sake of this one
                break
            known.append(found)
            request, more = without(request, found)
            missing += more
        return request, tuple(dict.fromkeys(missing))

    def _knows(self, model: str, refusable: Refusable) -> bool:
        return (model, refusable) in self._known or (refusable.kind == "budget" and has_thinking_budget(model))
