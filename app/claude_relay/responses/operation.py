"""The responses operation as the OpenAPI document shows it: both answers, and examples to send from the page."""

from litestar.openapi.spec import Example

from claude_relay.web.openapi import streaming

_HELLO = {"model": "sonnet", "input": "Hello!"}
_EXAMPLES = {
    "plain": Example(summary="A whole response", value=_HELLO),
    "stream": Example(summary="A response as it is written", value={**_HELLO, "stream": True}),
    "conversation": Example(
        summary="A conversation with instructions, on the isolated plain model",
        value={
            "model": "sonnet:chat",
            "instructions": "You are a pirate.",
            "input": [
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Arr, Ada!"},
                {"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]},
            ],
        },
    ),
}
ResponsesOperation = streaming(
    _EXAMPLES,
    "Server-sent events, each with its name as `event:` and as `type` of its data, from `response.created` to "
    "`response.completed`, `response.incomplete` or `response.failed`.",
    'event: response.output_text.delta\ndata: {"sequence_number":4,"item_id":"msg_1","output_index":0,'
    '"content_index":0,"delta":"Hi","type":"response.output_text.delta","logprobs":[]}\n\n',
)
