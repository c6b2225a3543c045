"""The last word on a run's events: stop sequences are cut off, and JSON is checked against its schema."""

import json
from collections.abc import Callable, Iterator

from jsonschema import Draft202012Validator, ValidationError

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
                    yield RunEnd("end", self._usage())
            case RunEnd(stop):
                yield from self._said(self._stops.rest())
                if self._output is not None and stop == "end":
                    check("".join(self._text), self._output)
                yield event
            case _:
                yield event

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
        Draft202012Validator(output.schema).validate(json.loads(text))
    except ValueError as error:
        raise unfit(f"it is no JSON ({error})") from None
    except ValidationError as error:
        raise unfit(f"{error.json_path}: {error.message[:200]}") from None


def unfit(why: str) -> UpstreamError:
    """Return the error for an answer that is not the JSON it had to be."""
    return UpstreamError(
        f"The model did not answer with JSON that fits the schema: {why}.", code="invalid_structured_output"
    )
