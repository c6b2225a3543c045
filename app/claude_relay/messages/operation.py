"""The messages operation as the OpenAPI document shows it: both answers, and examples to send from the page."""

from litestar.openapi.spec import Example

from claude_relay.web.openapi import streaming

_HELLO = {"model": "sonnet", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello!"}]}
_EXAMPLES = {
    "plain": Example(summary="A whole message", value=_HELLO),
    "stream": Example(summary="A message as it is written", value={**_HELLO, "stream": True}),
    "conversation": Example(
        summary="A conversation with instructions, on the isolated plain model",
        value={
            "model": "sonnet:chat",
            "max_tokens": 1024,
            "system": "You are a pirate.",
            "messages": [
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Arr, Ada!"},
                {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
            ],
        },
    ),
}
MessagesOperation = streaming(
    _EXAMPLES,
    "Server-sent events, each with its name as `event:` and as `type` of its data, from `message_start` to "
    "`message_stop` or `error`.",
    'event: content_block_delta\ndata: {"index":0,"delta":{"type":"text_delta","text":"Hi"},'
    '"type":"content_block_delta"}\n\n',
)
