"""What happens to each parameter of a chat request: the one list that the code, the tests and the docs share."""

from claude_relay.web.parameters import ignored, names, refused, sampling, supported

_AFFECTS = "In `agent` it would affect the model calls inside the agent's work."

PARAMETERS = (
    supported("messages", "All roles, texts, images and files, in order."),
    supported("model", "Any name; `:chat` and `:agent` choose the personality; the operator's aliases and profiles."),
    supported("stream", "Server-sent events, each delta as it is written."),
    supported("stream_options", "`include_usage`: one chunk with the usage, at the end; null in the others."),
    supported("n", "1 to 8 answers, requested at the same time; the usage is their sum."),
    sampling("max_tokens", f"Most tokens of the answer; `finish_reason` is then `length`. {_AFFECTS}", 0),
    sampling("max_completion_tokens", "The newer name of `max_tokens`; if both are given, this one counts.", 0),
    sampling("temperature", f"Above 1 counts as 1. Without a `reasoning_effort` it switches thinking off. {_AFFECTS}"),
    sampling("top_p", "As `temperature`."),
    sampling("top_k", "As `temperature`; not OpenAI's, but many clients send it."),
    supported("stop", "Up to 64 sequences of 1,000 characters, white space included; the answer never contains them."),
    supported("reasoning_effort", "`none` switches thinking off; `minimal` counts as `low`."),
    supported("response_format", "`json_schema` and `json_object`: JSON alone, checked against the schema."),
    supported("tools", "Functions and custom tools of the client, in `agent` beside Claude Code's own."),
    supported("functions", "The legacy form of `tools`; answered with `function_call`."),
    sampling(
        "tool_choice",
        "`auto`, `none`, `required`, a name, `allowed_tools`. Forcing switches thinking off.",
        "none",
        "auto",
    ),
    sampling("function_call", "The legacy form of `tool_choice`.", "none", "auto"),
    sampling("parallel_tool_calls", "`false`: at most one call. In `agent` the model decides.", True),
    refused("modalities", "Answers are text only.", ["text"], []),
    ignored("audio", "How sound is to be; `modalities` asks for sound, which is refused."),
    ignored("seed", "The upstream has no seed."),
    ignored("presence_penalty", "The upstream has no penalties.", 0),
    ignored("frequency_penalty", "The upstream has no penalties.", 0),
    ignored("logit_bias", "The upstream has no token biases.", {}),
    ignored("logprobs", "The upstream returns no probabilities.", False),
    ignored("top_logprobs", "The upstream returns no probabilities.", 0),
    ignored("verbosity", "The upstream has no such parameter; ask for it in the system message.", "medium"),
    ignored("prediction", "The upstream takes no predicted output."),
    ignored("web_search_options", "In `agent` Claude Code decides by itself when to search."),
    ignored("moderation", "The upstream moderates by itself."),
    ignored("service_tier", "The upstream's account decides.", "auto", "default"),
    ignored("store", "Nothing is stored.", False),
    ignored("metadata", "Nothing is stored, so metadata has no use.", {}),
    ignored("user", "The upstream is not told who the user is."),
    ignored("safety_identifier", "The upstream is not told who the user is."),
    ignored("prompt_cache_key", "The upstream caches by the prompt itself."),
    ignored("prompt_cache_retention", "The upstream decides how long it caches."),
    ignored("prompt_cache_options", "The upstream decides what it caches."),
)  # fmt: skip

KNOWN = names(PARAMETERS)
