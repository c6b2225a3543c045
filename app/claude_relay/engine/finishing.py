"""The last word on a run's events: stop sequences are cut off, and JSON is checked against its schema."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from claude_relay.engine.stopping import StopSequences
from claude_relay.engine.vocabulary import Event, JsonOutput, RunEnd, RunRequest, TextDelta, Usage
from claude_relay.errors import UpstreamError


class Finisher:
    """Holds the events of one run to what its request asked for.

    Args:
        request: What was asked.
        usage: Tells the token counts so far, for an answer that ends before its run does.
    """

    def __init__(self, request: RunRequest, usage: Callable[[], Usage]) -> None:
        self._stops = StopSequences(request.sampling.stop)
        self._output = request.output
        self._usage = usage
        self._text: list[str] = []

    def feed(self, event: Event) -> Iterator[Event]:
        """Yield what remains of an event. After a ``RunEnd`` there is nothing more to feed.

        Raises:
            UpstreamError: The answer had to be JSON that fits a schema, and is not.
        """
        match event:
            case TextDelta(text):
                yield from self._said(self._stops.feed(text))
                if self._stops.found:
                    yield self._checked(RunEnd("end", self._usage()))
            case RunEnd():
                yield from self._said(self._stops.rest())
                yield self._checked(event)
            case _:
                yield event

    def _checked(self, end: RunEnd) -> RunEnd:
        if self._output is not None and end.stop == "end":
            check("".join(self._text), self._output)
        return end

    def _said(self, text: str) -> Iterator[Event]:
        if text:
            if self._output is not None:
                self._text.append(text)
            yield TextDelta(text)


def check(text: str, output: JsonOutput) -> None:
    """Hold an answer against its schema.

    Raises:
        UpstreamError: It is no JSON, or does not fit.
    """
    try:
        validator(output.schema).validate(json.loads(text, parse_constant=_no_json))
    except ValidationError as error:
        raise unfit(f"{error.json_path}: {error.message[:200]}") from None
    except Unresolvable as error:
        raise unfit(f"nothing inside the schema is called {error.ref!r}") from None
    except (ValueError, RecursionError) as error:
        raise unfit(f"it is no JSON ({error})") from None
    except re.error:
        # a pattern of another dialect than Python's: the upstream was asked to keep to it, and can
        return


def validator(schema: dict[str, Any]) -> Validator:
    """Return what checks against a schema, of whatever draft. It looks nothing up, on the network or on disk."""
    kind = validator_for(schema, default=Draft202012Validator)
    made: Validator = kind(schema, registry=Registry())
    return made


def _no_json(constant: str) -> float:
    raise ValueError(f"{constant} is none of its numbers")


def unfit(why: str) -> UpstreamError:
    """Return the error for an answer that is not the JSON it had to be."""
    return UpstreamError(
        f"The model did not answer with JSON that fits the schema: {why}.", code="invalid_structured_output"
    )
