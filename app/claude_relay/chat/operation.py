"""The chat operation as the OpenAPI document shows it: both answers, and examples to send from the page."""

from litestar.openapi.spec import Example

from claude_relay.web.openapi import streaming

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
ChatOperation = streaming(
    _EXAMPLES,
    "Server-sent events: each `data:` line is a `chat.completion.chunk`, the last one is `[DONE]`.",
    'data: {"id":"chatcmpl-1","created":1735689600,"model":"sonnet","choices":[{"delta":'
    '{"content":"Hi"},"finish_reason":null,"index":0}],"object":"chat.completion.chunk"}\n\n'
    "data: [DONE]\n\n",
)
