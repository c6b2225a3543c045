"""Structs for tests: what a test does not say is made up, the same way every time."""

from polyfactory.factories.msgspec_factory import MsgspecFactory

from claude_relay.engine.claude.discovery import Installation
from claude_relay.engine.vocabulary import RunRequest, Text, Turn, Usage


class UsageFactory(MsgspecFactory[Usage]):
    __random_seed__ = 1


class InstallationFactory(MsgspecFactory[Installation]):
    __random_seed__ = 1

    path = "/opt/claude"


class RunRequestFactory(MsgspecFactory[RunRequest]):
    __random_seed__ = 1
    __use_defaults__ = True

    personality = "chat"
    model = "sonnet"
    system = None

    @classmethod
    def turns(cls) -> tuple[Turn, ...]:
        return conversation("Hello")


def conversation(*texts: str) -> tuple[Turn, ...]:
    """Return turns of the user and the assistant, one after the other."""
    return tuple(Turn("assistant" if index % 2 else "user", (Text(content),)) for index, content in enumerate(texts))
