"""What happens to each parameter of a request: the one list that the code, the tests and the docs share."""

from claude_relay.web.parameters import ignored, names, sampling, supported

_AFFECTS = "In `agent` it would affect the model calls inside the agent's work."

PARAMETERS = (
    supported("input", "A text, or the items of the conversation, in order."),
    supported("model", "Any name; `:chat` and `:agent` choose the personality; the operator's aliases and profiles."),
    supported("instructions", "The system prompt, before the system and developer messages that `input` begins with."),
    supported("stream", "Server-sent events, each delta as it is written."),
    supported("stream_options", "`include_obfuscation` is ignored."),
    supported("tools", "Functions, custom tools, namespaces and the client's tool search; hosted tools are ignored."),
    sampling(
        "tool_choice",
        "`auto`, `none`, `required`, a name, `allowed_tools`. Forcing switches thinking off. A hosted tool is ignored.",
        "none",
        "auto",
    ),
    sampling("parallel_tool_calls", "`false`: at most one call. In `agent` the model decides.", True),
    supported("text", "`format`: `json_schema` and `json_object`, JSON alone, checked. `verbosity` is ignored."),
    supported(
        "reasoning", "`effort`: `none` switches thinking off, `minimal` counts as `low`. Summaries are always sent."
    ),
    sampling("max_output_tokens", f"Most tokens of the answer, which is then `incomplete`. {_AFFECTS}", 0),
    sampling("temperature", f"Above 1 counts as 1. Without an effort it switches thinking off. {_AFFECTS}"),
    sampling("top_p", "As `temperature`."),
    supported("background", "`true`: answers at once, and works on without the client. Not with `store: false`."),
    supported("previous_response_id", "The conversation of that response comes before `input`; not its instructions."),
    supported(
        "conversation", "An id, or an object with it: its items come before `input`, and get this turn's as well."
    ),
    supported("store", "`false`: nothing of the request is kept. Otherwise it is, unless the relay keeps nothing."),
    supported("metadata", "Texts by their names, which come back with the response."),
    supported("prompt_cache_key", "Comes back with the response. The upstream caches by the prompt itself."),
    supported("safety_identifier", "Comes back with the response. The upstream is not told who the user is."),
    supported("user", "Comes back with the response. The upstream is not told who the user is."),
    supported("include", "`reasoning.encrypted_content`, the model's signed thinking; the rest is ignored."),
    ignored("truncation", "Claude Code decides what to do with a conversation that is too long.", "disabled"),
    ignored("max_tool_calls", "There are no hosted tools whose calls it would count."),
    ignored("top_logprobs", "The upstream returns no probabilities.", 0),
    ignored("presence_penalty", "The upstream has no penalties.", 0),
    ignored("frequency_penalty", "The upstream has no penalties.", 0),
    ignored("prompt", "There are no stored prompts; put the text into `instructions`."),
    ignored("service_tier", "The upstream's account decides.", "auto", "default"),
    ignored("prompt_cache_retention", "The upstream decides how long it caches."),
    ignored("prompt_cache_options", "The upstream decides what it caches."),
    ignored("context_management", "Claude Code manages the context of an agent by itself."),
    ignored("moderation", "The upstream moderates by itself."),
    ignored("background_options", "Work in the background is the same for all."),
    ignored("access_programs", "There are none."),
    ignored("image", "How images are prepared is up to Claude Code."),
    ignored("client_metadata", "Says something about the client that nobody here asks for.", {}),
)

KNOWN = names(PARAMETERS)
"""The names of all parameters."""
