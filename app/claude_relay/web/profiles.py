"""A request for a profile, for every family: what it asks for, and what answers it.

To a family a profile is nothing but the model that it stands for.
"""

from typing import Any, TypeVar, cast

from litestar.datastructures import State
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.profiles import Profile, of_holder
from claude_relay.settings import Settings
from claude_relay.web.parameters import Question

T = TypeVar("T")

_PROFILES = "claude_relay_profiles"


def set_up(state: State, profiles: tuple[Profile, ...]) -> None:
    """Give an application its profiles."""
    state[_PROFILES] = profiles


def of_caller(state: State, caller: Caller) -> dict[str, Profile]:
    """Return the profiles that a caller may use, by their names. To a caller the others do not exist."""
    return of_holder(state.get(_PROFILES, ()), caller.name)


def asked_for(request: object, profiles: dict[str, Profile]) -> Profile | None:
    """Return the profile that a family's request names as its model, if it names one."""
    return profiles.get(getattr(request, "model", None) or "")


def plain(request: T, profile: Profile | None) -> T:
    """Return a request for the model that its profile stands for."""
    return request if profile is None else cast("T", replace(cast("Any", request), model=profile.target))


def holding(settings: Settings, profile: Profile | None) -> Settings:
    """Return the operator's choices, as they are for a profile."""
    if profile is None or profile.permission is None:
        return settings
    return replace(settings, permission_mode=profile.permission)


def under(question: Question, profile: Profile | None) -> Question:
    """Return a question that a profile answers."""
    if profile is None:
        return question
    run, *more = (replace(run, profile=profile) for run in (question.run, *question.more))
    return replace(question, run=run, more=tuple(more))
