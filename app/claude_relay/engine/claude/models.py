"""The models that the CLI has told of. Pure."""

from collections.abc import Iterable, Mapping

from claude_relay.engine.claude import wire

_ALWAYS_KNOWN = ("opus", "sonnet", "haiku")
_NO_NAME = "default"
"""What the CLI calls the model that it takes where none is named."""
_MOST_IDS = 100
"""Full ids of models that are remembered: clients ask for what they like, and a gateway may take any name."""
_LEAST_CONTEXT_WINDOW = 200_000


class Models:
    """What is known of models: until the CLI tells more, the names that always work."""

    def __init__(self) -> None:
        self._resolved: dict[str, str] = {}
        self._full_ids: dict[str, None] = {}
        self._context_windows: dict[str, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names for a menu, each once: short ones, and the full ids."""
        return tuple(dict.fromkeys((*_ALWAYS_KNOWN, *self._resolved, *self._full_ids)))

    def full_id(self, name: str) -> str:
        """Return the full id of the model that a short name stands for, if the CLI has told; else the name."""
        return self._resolved.get(name, name)

    def context_window(self, name: str) -> int:
        """Return what the CLI has told of a model; until it was asked once, what all of them have at least."""
        return self._context_windows.get(name, _LEAST_CONTEXT_WINDOW)

    def learn_listed(self, listed: Iterable[wire.ListedModel]) -> None:
        """Keep what the CLI says that its short names stand for."""
        for model in listed:
            if model.value != _NO_NAME:
                self._resolved[model.value] = model.resolved_model
                self._remember(model.resolved_model)

    def learn_used(self, used: Mapping[str, wire.ModelUsage]) -> None:
        """Keep the full ids of models that have answered, and what each of them takes."""
        for model, known in used.items():
            self._remember(model)
            if model in self._full_ids:
                self.learn_context_window(model, known.context_window)

    def learn_context_window(self, name: str, tokens: int | None) -> None:
        """Keep what the model of a name takes, if that is known."""
        if tokens is not None:
            self._context_windows[name] = tokens

    def _remember(self, full_id: str) -> None:
        if len(self._full_ids) < _MOST_IDS:
            self._full_ids.setdefault(full_id)
