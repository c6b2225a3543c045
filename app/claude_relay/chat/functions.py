"""The client's functions -> neutral tools, and what the model may do with them. Pure."""

from claude_relay.chat import schemas
from claude_relay.engine.vocabulary import Tool, ToolChoice
from claude_relay.errors import InvalidRequestError

_NO_ARGUMENTS = {"type": "object", "properties": {}}


def offered(request: schemas.ChatCompletionRequest) -> tuple[Tool, ...]:
    """Return the functions that a request offers, in either form.

    Raises:
        InvalidRequestError: Two functions have one name.
    """
    field = "tools" if request.tools else "functions"
    definitions = [tool.function for tool in request.tools or ()] or list(request.functions or ())
    names = [definition.name for definition in definitions]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _invalid(f"there are two functions with the name {name!r}", f"{field}[{index}]")
    return tuple(_tool(definition) for definition in definitions)


def choice(request: schemas.ChatCompletionRequest, tools: tuple[Tool, ...]) -> ToolChoice:
    """Return what the model may do with the functions.

    Raises:
        InvalidRequestError: A function must be called that is not offered.
    """
    if not tools:
        if forced(request):
            field = "function_call" if request.tool_choice is None else "tool_choice"
            raise _invalid("there are no functions to call", field)
        return ToolChoice()
    parallel = request.parallel_tool_calls is not False and not legacy(request)
    match request.tool_choice if request.tool_choice is not None else request.function_call:
        case "none":
            return ToolChoice("none")
        case "required":
            return ToolChoice("required", parallel=parallel)
        case schemas.NamedToolChoice(schemas.FunctionName(name)):
            return ToolChoice("required", _known(name, tools, "tool_choice.function.name"), parallel)
        case schemas.FunctionName(name):
            return ToolChoice("required", _known(name, tools, "function_call.name"), parallel)
    return ToolChoice(parallel=parallel)


def forced(request: schemas.ChatCompletionRequest) -> bool:
    """Whether the model must call a function."""
    if request.tool_choice is not None:
        return request.tool_choice not in {"auto", "none"}
    return isinstance(request.function_call, schemas.FunctionName)


def forbidden(request: schemas.ChatCompletionRequest) -> bool:
    """Whether the model must not call a function."""
    return request.tool_choice == "none" or (request.tool_choice is None and request.function_call == "none")


def legacy(request: schemas.ChatCompletionRequest) -> bool:
    """Whether the client speaks the older form, which knows one call for each answer."""
    return bool(request.functions) and not request.tools


def _tool(definition: schemas.FunctionDefinition) -> Tool:
    schema = definition.parameters or _NO_ARGUMENTS
    described = schema if "type" in schema else {"type": "object", **schema}
    return Tool(definition.name, definition.description or "", described, bool(definition.strict))


def _known(name: str, tools: tuple[Tool, ...], param: str) -> str:
    if all(tool.name != name for tool in tools):
        raise _invalid(f"no function has the name {name!r}", param)
    return name


def _invalid(message: str, param: str) -> InvalidRequestError:
    return InvalidRequestError(f"Invalid value for '{param}': {message}.", param=param, code="invalid_value")
