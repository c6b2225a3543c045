"""What happens to each parameter of a completion request: the one list that the code, the tests and the docs share."""

from claude_relay.web.parameters import ignored, names, refused, sampling, supported

DEFAULT_MAX_TOKENS = 16
"""OpenAI's."""

_AFFECTS = "In `agent` it would affect the model calls inside the agent's work."

PARAMETERS = (
    supported("prompt", "A text, or a list of texts, each of which is continued `n` times. Tokens are refused."),
    supported("model", "Any name; `:chat` and `:agent` choose the personality; the operator's aliases."),
    supported("suffix", "What comes after the text that is asked for, which then fills the gap."),
    sampling("max_tokens", f"Most tokens of a continuation; {DEFAULT_MAX_TOKENS} if there is none. {_AFFECTS}"),
    sampling("temperature", f"Above 1 counts as 1. {_AFFECTS}"),
    sampling("top_p", "As `temperature`."),
    sampling("top_k", "As `temperature`; not OpenAI's, but many clients send it."),
    supported("n", "1 to 8 continuations of each prompt, requested at the same time; the usage is their sum."),
    ignored("best_of", "The upstream has no probabilities to choose by: `n` continuations are made, and all returned."),
    supported("echo", "The prompt stands before each continuation."),
    supported("stop", "Up to 64 sequences of 1,000 characters, white space included; the text never contains them."),
    supported("stream", "Server-sent events, each delta as it is written."),
    supported("stream_options", "`include_usage`: one chunk with the usage, at the end; null in the others."),
    refused("logprobs", "The upstream returns no probabilities, and scores without them would be wrong unnoticed."),
    ignored("seed", "The upstream has no seed."),
    ignored("presence_penalty", "The upstream has no penalties.", 0),
    ignored("frequency_penalty", "The upstream has no penalties.", 0),
    ignored("logit_bias", "The upstream has no token biases.", {}),
    ignored("user", "The upstream is not told who the user is."),
)  # fmt: skip

KNOWN = names(PARAMETERS)
