"""The routes of ``/models``."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from claude_relay.engine.profiles import Profile
from claude_relay.engine.runner import ClaudeRunner
from claude_relay.models import outbound
from claude_relay.models.schemas import Model, ModelList
from claude_relay.settings import Settings
from claude_relay.web import profiles
from claude_relay.web.auth_middleware import require_caller
from claude_relay.web.controller import WireController


class ModelsController(WireController):
    """Which models can be asked. Neither route starts a process."""

    path = "/models"
    tags = ("Models",)

    @get(operation_id="listModels", summary="List models", response_description="The models.")
    async def list_models(
        self,
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
        settings: NamedDependency[Settings],
    ) -> ModelList:
        """List the names for a menu: models, each with `:chat` and `:agent` too, the operator's aliases and profiles.

        The full id of a model is among them once it has answered. Any other name goes to Claude Code as it is.
        """
        return outbound.listed(runner, settings.aliases, _profiles(request))

    @get("/{model:path}", operation_id="retrieveModel", summary="Retrieve a model", response_description="The model.")
    async def retrieve_model(
        self,
        model: FromPath[str],
        request: Request[Any, Any, Any],
        runner: NamedDependency[ClaudeRunner],
        settings: NamedDependency[Settings],
    ) -> Model:
        """Describe a model by its name. Whether the upstream knows it shows when it is asked."""
        return outbound.described(model.removeprefix("/"), runner, settings.aliases, _profiles(request))


def _profiles(request: Request[Any, Any, Any]) -> dict[str, Profile]:
    return profiles.of_caller(request.app.state, require_caller(request.scope))
