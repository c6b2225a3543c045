"""What the relay relies on in the CLI that is there: by its version, until the self-test has tried it. Pure."""

from collections.abc import Callable

from msgspec import Struct

from claude_relay.engine.claude import command
from claude_relay.engine.claude.discovery import Installation


class SelfTestResult(Struct, frozen=True):
    """What holds.

    Attributes:
        text: Settings and texts reach the upstream as they are: ``@path`` and ``/command`` are plain text.
        reuse: A process that holds a conversation can be asked its next turn.
        reset: A reset process proves it, and its next request holds nothing of the last.
        tools: Calls of the client's tools end the run, in one request.
        interrupt: An interrupt ends the upstream's work.
        single_request: An answer that ends at a token limit is not asked for again, and its turn ends.
        tied: Every turn is tied to the lines that it is for.
        peers: Words of other sessions of the same user are refused.
    """

    text: bool
    reuse: bool
    reset: bool
    tools: bool
    interrupt: bool
    single_request: bool
    tied: bool
    peers: bool

    @property
    def failed(self) -> list[str]:
        """Names of what does not hold."""
        return [name for name in self.__struct_fields__ if not getattr(self, name)]


class Capabilities(Struct, frozen=True):
    """What is used of a CLI. Without any of it the relay answers everything too, only slower.

    Attributes:
        client_composed: It takes lines that are marked as plain text.
        single_request: It can be kept from asking again within a turn.
        tied_turns: It tells which lines a turn is for; every turn must then be for lines of ours.
        reuse: A process may answer more than one question.
        reset: A process can prove that it is empty, and so be used for another conversation.
    """

    client_composed: bool = False
    single_request: bool = True
    tied_turns: bool = False
    reuse: bool = False
    reset: bool = False


Current = Callable[[], Capabilities]
"""Returns what is known now; a self-test that is made later may find something else."""


def by_version(installation: Installation, *, reuse: bool) -> Capabilities:
    """Return what is known of a CLI that was not tried.

    Args:
        installation: The CLI.
        reuse: Whether its processes are used again all the same.
    """
    return Capabilities(
        client_composed=command.takes_client_composed(installation),
        tied_turns=command.ties_turns(installation),
        reuse=reuse,
        reset=reuse and command.proves_reset(installation),
    )


def by_self_test(installation: Installation, result: SelfTestResult) -> Capabilities:
    """Return what is known of a CLI that was tried."""
    return Capabilities(
        client_composed=command.takes_client_composed(installation) and result.text,
        single_request=result.single_request,
        tied_turns=result.tied,
        # where words of others come in and cannot be told from ours, a process that waits is not to be trusted
        reuse=result.reuse and (result.tied or result.peers),
        reset=result.reset and command.proves_reset(installation),
    )
