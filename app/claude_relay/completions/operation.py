"""The completions operation as the OpenAPI document shows it: both answers, and examples to send from the page."""

from litestar.openapi.spec import Example

from claude_relay.web.openapi import streaming

_HELLO = {"model": "sonnet", "prompt": "Once upon a time"}
_EXAMPLES = {
    "plain": Example(summary="A whole continuation", value=_HELLO),
    "stream": Example(summary="A continuation as it is written", value={**_HELLO, "stream": True}),
    "gap": Example(
        summary="Code for a gap",
        value={"model": "haiku", "prompt": "def double(x):\n", "suffix": "\n\nprint(double(2))", "max_tokens": 64},
    ),
}
CompletionsOperation = streaming(
    _EXAMPLES,
    "Server-sent events: each `data:` line is a completion with more of one continuation, the last one is `[DONE]`.",
    'data: {"id":"cmpl-1","created":1735689600,"model":"sonnet","choices":[{"text":" there","index":0,'
    '"logprobs":null,"finish_reason":null}],"object":"text_completion"}\n\ndata: [DONE]\n\n',
)
