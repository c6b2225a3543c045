"""What happens to each parameter of a request: the one list that the code, the tests and the docs share."""

from claude_relay.web.parameters import ignored, names, sampling, supported

_AFFECTS = "In `agent` it would affect the model calls inside the agent's work."

PARAMETERS = (
    supported("messages", "All roles, `system` included, in order; [content](#content) is what can be inside."),
    supported("model", "Any name; `:chat` and `:agent` choose the personality; the operator's aliases and profiles."),
    supported("system", "A text, or a list of text blocks: the system prompt."),
    sampling("max_tokens", f"Most tokens of the answer; `stop_reason` is then `max_tokens`. {_AFFECTS}", 0),
    supported("stream", "Server-sent events, each delta as it is written."),
    supported("tools", "Tools with an `input_schema`; those that Anthropic runs or defines are ignored."),
    sampling(
        "tool_choice",
        "`auto`, `any`, `tool`, `none`, with `disable_parallel_tool_use`. Forcing switches thinking off.",
    ),
    supported(
        "thinking",
        "`disabled` switches it off. `budget_tokens` stands for an effort. Shown only if asked for here.",
    ),
    supported("output_config", "`effort`; `format`: `json_schema`, JSON alone, checked against the schema."),
    supported("output_format", "The older form of `output_config.format`."),
    supported("stop_sequences", "Up to 64 of 1,000 characters; `stop_sequence` tells which one it was."),
    sampling("temperature", f"Without thinking or an effort it switches thinking off. {_AFFECTS}"),
    sampling("top_p", "As `temperature`."),
    sampling("top_k", "As `temperature`."),
    supported("thread", "`create` and `continue`, unless the relay keeps nothing: [threads](#threads)."),
    ignored("cache_control", "Claude Code marks by itself what the upstream is to cache; that in blocks too."),
    ignored("context_management", "Claude Code manages the context of an agent by itself.", {}),
    ignored("mcp_servers", "The upstream connects to no servers of clients; an agent has those of its user.", []),
    ignored("container", "Nothing is run by the upstream."),
    ignored("compaction", "Claude Code decides what to do with a conversation that is too long."),
    ignored("fallbacks", "The upstream is asked for one model."),
    ignored("fallback_credit_token", "The upstream is asked for one model."),
    ignored("billing_policy", "The upstream's account decides."),
    ignored("diagnostics", "There are none."),
    ignored("inference_geo", "The upstream's account decides."),
    ignored("speed", "The upstream's account decides.", "standard"),
    ignored("metadata", "The upstream is not told who the user is.", {}),
    ignored("service_tier", "The upstream's account decides.", "auto", "standard_only"),
)

KNOWN = names(PARAMETERS)
"""The names of all parameters."""
