"""The route of ``/responses/input_tokens``."""

from typing import Any

from litestar import Request, Response, post
from litestar.params import JSONBody
from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.engine.token_estimate import prompt_tokens
from claude_relay.responses import answer, archive, inbound, schemas
from claude_relay.responses.controller import read
from claude_relay.settings import Settings
from claude_relay.web import bodies
from claude_relay.web.controller import OF_BODIES, OF_CALLERS, WireController, failures
from claude_relay.web.parameters import Question
from claude_relay.web.token_counts import ESTIMATED


def _counted(body: bodies.Body[schemas.ResponsesRequest], settings: Settings, caller: Caller) -> Question:
    """Return what is asked, of which nothing but the number of its tokens is wanted."""
    request = replace(body.request, store=False, background=None)
    question = inbound.to_question(replace(body, request=request), settings, caller)
    return replace(question, known=prompt_tokens(question.run))


class InputTokensController(WireController):
    """How long a prompt is."""

    path = "/responses/input_tokens"
    tags = ("Responses",)
    dto = bodies.BodyDTO[schemas.ResponsesRequest]

    @post(
        status_code=200,
        # what is counted is looked over
        before_request=bodies.reading(read, _counted, lambda _: True, archive.fetch),
        operation_id="countInputTokens",
        summary="Count the tokens of a request",
        response_description="An estimate of their number.",
        responses=failures(
            s400="The request cannot be served as it stands; `param` names what to change.",
            **OF_CALLERS,
            s404="What the request refers to does not exist.",
            **OF_BODIES,
            s503="The store cannot be used.",
        ),
    )
    async def count_input_tokens(
        self,
        data: JSONBody[schemas.ResponsesRequest],  # noqa: ARG002 - was read before
        request: Request[Any, Any, Any],
    ) -> Response[answer.InputTokens]:
        """Estimate how many tokens the prompt of a request for a response has. Nobody is asked, and nothing is kept."""
        return Response(answer.InputTokens(bodies.question_of(request).known), headers=ESTIMATED)
