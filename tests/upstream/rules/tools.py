"""Rules about tools and about the form of an answer."""

import re

from .blocks import Json
from .schemas import schema_refusal

TOOL_NAME = r"^[a-zA-Z0-9_-]{1,128}$"
PROPERTY_KEY = r"^[a-zA-Z0-9_.-]{1,64}$"
_TOOL_NAME, _PROPERTY_KEY = re.compile(TOOL_NAME.strip("^$")), re.compile(PROPERTY_KEY.strip("^$"))
MOST_STRICT_TOOLS = 20


def has_tools(body: Json) -> str | None:
    """Names and top-level properties of custom tools are words; what is deeper in a schema may be called anything.

    Seen in modelcontextprotocol/modelcontextprotocol#1345, twilio-labs/mcp#58 and decocms/studio#6874.
    """
    for path, tool in _custom_tools(body):
        if _TOOL_NAME.fullmatch(tool["name"]) is None:
            return f"{path}.name: String should match pattern '{TOOL_NAME}'"
        keys = tool["input_schema"].get("properties", {})
        if any(_PROPERTY_KEY.fullmatch(key) is None for key in keys):
            return f"{path}.input_schema.properties: Property keys should match pattern '{PROPERTY_KEY}'"
    return None


def has_strict_tools(body: Json) -> str | None:
    """At most 20 tools are strict. Seen in datarobot-oss/datarobot-genai#547 and elizaOS/eliza#16499."""
    strict = [tool for tool in body.get("tools", []) if tool.get("strict")]
    if len(strict) <= MOST_STRICT_TOOLS:
        return None
    return (
        f"Too many strict tools ({len(strict)}). The maximum number of strict tools supported is {MOST_STRICT_TOOLS}. "
        "Try reducing the number of tools marked as strict."
    )


def has_schemas(body: Json) -> str | None:
    """The schemas that answers are held to, of strict tools and of ``output_config.format``, are closed and simple.

    Seen in ax-llm/ax#458, BerriAI/litellm#35808 and sherifkozman/the-llm-council#55.
    """
    schemas = [(path, tool["input_schema"]) for path, tool in _custom_tools(body) if tool.get("strict")]
    asked = body.get("output_config", {}).get("format", {})
    if "schema" in asked:
        schemas.append(("output_config.format.schema", asked["schema"]))
    found = ((path, schema_refusal(schema)) for path, schema in schemas)
    return next((f"{path}: {reason}" for path, reason in found if reason is not None), None)


def _custom_tools(body: Json) -> list[tuple[str, Json]]:
    """Return the tools that are not the API's own, by their paths."""
    tools = enumerate(body.get("tools", []))
    return [(f"tools.{index}.custom", tool) for index, tool in tools if tool.get("type", "custom") == "custom"]
