"""What is asked of each framework, and what there is to know about it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

INSTRUCTIONS = "You know all squares."
MAX_TOKENS = 77
MODEL = "sonnet:chat"
"""What a user of a framework chooses, so that the tools are those of the framework."""

Square = Callable[[int], str]
"""What the tool ``square`` does."""
Ask = Callable[[str], str]
"""Asks the next question of a conversation, and returns the answer."""
Agent = Callable[[str, Square], AbstractContextManager[Ask]]
"""A conversation with an agent at a base URL that has the tool; its answers have at most `MAX_TOKENS` each."""

CUT = '{"n": '
"""What is left of a call's arguments."""


class Pet(BaseModel):
    """A pet."""

    name: str
    age: int


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework, set up as its documentation says. Its functions take a base URL first.

    Attributes:
        answer: Asks a question and returns the answer.
        stream: Asks a question and returns the pieces in which the answer came.
        agents: Its agents, by the way in which they ask: ``run`` or ``stream``.
        pet: Asks a question and returns the answer in the form that was asked for.
        ignored: What it asks for and does not get, since the newest models refuse it, or nothing comes of it.
        ignored_with_tools: What is added to that where it offers tools.
        frame: What the model must write before and after its answer.
        field: Where in the form that is asked for the pet is, if it is not all of it.
        square: What it calls the tool.
        last_word: The tool that the model calls to give its answer, if it is not given in words.
        cut: What becomes of a call's arguments that were `CUT`, as they go upstream; ``None`` if it forgets the call.
    """

    answer: Callable[[str, str], str]
    stream: Callable[[str, str], list[str]]
    agents: Mapping[str, Agent]
    pet: Callable[[str, str], Pet]
    ignored: frozenset[str] = frozenset()
    ignored_with_tools: frozenset[str] = frozenset()
    frame: tuple[str, str] = ("", "")
    field: str | None = None
    square: str = "square"
    last_word: str | None = None
    cut: Mapping[str, Any] | None = None
