"""Completion request -> neutral requests. Pure; what cannot be served is refused with the parameter's name."""

from collections.abc import Iterator

from msgspec.structs import replace

from claude_relay.access.policy import Caller
from claude_relay.completions.parameters import DEFAULT_MAX_TOKENS, PARAMETERS
from claude_relay.completions.schemas import CompletionRequest
from claude_relay.engine import model_names
from claude_relay.engine.constraints import constrained
from claude_relay.engine.vocabulary import RunRequest, Sampling, Text, Turn
from claude_relay.errors import InvalidRequestError
from claude_relay.settings import Settings
from claude_relay.web.bodies import Body
from claude_relay.web.parameters import Question, named, unsupported

SYSTEM = (
    "You are a text completion engine. The user's message is a text without its end, or the two sides of a gap: what "
    "comes before it in <prefix>, what comes after it in <suffix>. Other markers, such as <fim_prefix>, <fim_suffix> "
    "and <fim_middle>, or <PRE>, <SUF> and <MID>, mean the same. Write what comes next, or what fills the gap, and "
    "nothing else. Begin at the very character where the text ends, with the white space or the line break that "
    "belongs there. Repeat nothing of the text. Write no introduction, no explanation, no quotation marks and no code "
    "block around it. What comes next after a question or an instruction is the answer to it."
)
"""The same for all requests, so that any process that has served one can serve the next."""


def to_question(body: Body[CompletionRequest], settings: Settings, caller: Caller) -> Question:
    """Return a neutral request for each prompt, and which of the client's options they leave out.

    Args:
        body: What the client sent.
        settings: The operator's choices.
        caller: Who asks.

    Raises:
        InvalidRequestError: The request asks for what the relay cannot do.
    """
    request = body.request
    name = model_names.resolve(request.model or settings.model, settings.aliases)
    # who wants a text gone on with wants a model, not somebody who works
    personality = name.personality or "chat"
    asked = RunRequest(
        name.model,
        personality,
        SYSTEM,
        turns=(),
        sampling=_sampling(request),
        # few tokens are asked for, and soon
        effort="none",
        caller=caller.identity,
        account=caller.account,
    )
    run, _ = constrained(asked)
    without_effect = (*unsupported(PARAMETERS, request, personality, body.unknown), *_obfuscation(request))
    has_best = request.best_of is None or request.best_of > (request.n or 1)
    ignored = named((one for one in without_effect if one != "best_of" or has_best), strict=settings.strict)
    first, *more = (replace(run, turns=(Turn("user", (Text(_text(one, request)),)),)) for one in prompts(request))
    return Question(first, ignored, more=tuple(more))


def prompts(request: CompletionRequest) -> tuple[str, ...]:
    """Return the texts to continue.

    Raises:
        InvalidRequestError: There are tokens among them.
    """
    if isinstance(request.prompt, str):
        return (request.prompt,)
    texts = tuple(prompt for prompt in request.prompt if isinstance(prompt, str))
    if len(texts) < len(request.prompt):
        raise InvalidRequestError(
            "Invalid value for 'prompt': tokens are not supported, as they are those of another model, which Claude "
            "does not know. Send the text, or a list of texts.",
            param="prompt",
            code="invalid_value",
        )
    return texts


def _text(prompt: str, request: CompletionRequest) -> str:
    """The upstream takes no turn of white space alone."""
    if request.suffix:
        return f"<prefix>{prompt}</prefix><suffix>{request.suffix}</suffix>"
    return prompt if prompt.strip() else f"<prefix>{prompt}</prefix>"


def _sampling(request: CompletionRequest) -> Sampling:
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    most = request.max_tokens or DEFAULT_MAX_TOKENS
    return Sampling(request.temperature, request.top_p, request.top_k, most, tuple(filter(None, stop)))


def _obfuscation(request: CompletionRequest) -> Iterator[str]:
    if request.stream_options is not None and request.stream_options.include_obfuscation:
        yield "stream_options.include_obfuscation"
