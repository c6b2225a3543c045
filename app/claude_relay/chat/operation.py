"""The chat operation as the OpenAPI document shows it: both answers, and examples to send from the page."""

from dataclasses import dataclass

from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

_HELLO = {"model": "sonnet", "messages": [{"role": "user", "content": "Hello!"}]}
_EXAMPLES = {
    "plain": Example(summary="A whole answer", value=_HELLO),
    "stream": Example(summary="An answer as it is written", value={**_HELLO, "stream": True}),
    "conversation": Example(
        summary="A conversation with instructions, on the isolated plain model",
        value={
            "model": "sonnet:chat",
            "messages": [
                {"role": "system", "content": "You are a pirate."},
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Arr, Ada!"},
                {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
            ],
        },
    ),
}
_STREAM = OpenAPIMediaType(
    schema=Schema(
        type=OpenAPIType.STRING,
        description="Server-sent events: each `data:` line is a `chat.completion.chunk`, the last one is `[DONE]`.",
    ),
    examples={
        "stream": Example(
            value='data: {"id":"chatcmpl-1","created":1735689600,"model":"sonnet","choices":[{"delta":'
            '{"content":"Hi"},"finish_reason":null,"index":0}],"object":"chat.completion.chunk"}\n\n'
            "data: [DONE]\n\n"
        )
    },
)


@dataclass
class ChatOperation(Operation):
    """Adds what the handler's annotations cannot say."""

    def __post_init__(self) -> None:
        """Add the request examples and the event stream beside the JSON answer."""
        if isinstance(self.request_body, RequestBody):
            for media in self.request_body.content.values():
                media.examples = {**_EXAMPLES}
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse) and answer.content is not None:
            answer.content["text/event-stream"] = _STREAM
