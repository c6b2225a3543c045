"""The OpenAPI document, and a Swagger UI whose files we serve ourselves: it works without internet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import litestar_offline_docs
from litestar import Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    License,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
    Server,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.static_files import create_static_files_router

from claude_relay import __version__

_ASSETS = "/schema/assets"
_KEY = "One of the operator's keys. Without any, programs of the relay's own machine need none."


def config() -> OpenAPIConfig:
    """Return the configuration of the document and its page at ``/schema/swagger``."""
    return OpenAPIConfig(
        title="claude-relay",
        version=__version__,
        summary="Claude Code behind OpenAI's API",
        description=(
            "A drop-in OpenAI-compatible API whose engine is your own Claude Code CLI. "
            "Every path also works without the `/v1` prefix."
        ),
        license=License(name="MIT", identifier="MIT"),
        servers=[Server(url="/")],
        components=Components(security_schemes={"key": SecurityScheme("http", scheme="bearer", description=_KEY)}),
        security=[{"key": []}, {}],
        use_handler_docstrings=True,
        render_plugins=[
            SwaggerRenderPlugin(
                js_url=f"{_ASSETS}/swagger-ui-bundle.js",
                css_url=f"{_ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{_ASSETS}/swagger-ui-standalone-preset.js",
                favicon='<link rel="icon" href="data:,">',
            )
        ],
    )


def streaming(examples: Mapping[str, Example], description: str, events: str) -> type[Operation]:
    """Return a kind of operation that answers with JSON or with server-sent events.

    Args:
        examples: Requests to send from the page, by name.
        description: What the events are.
        events: An example of them.
    """
    media = OpenAPIMediaType(
        schema=Schema(type=OpenAPIType.STRING, description=description), examples={"stream": Example(value=events)}
    )

    @dataclass
    class StreamingOperation(Operation):
        """Adds what the handler's annotations cannot say."""

        def __post_init__(self) -> None:
            """Add the request examples, and the event stream beside the JSON answer."""
            if isinstance(self.request_body, RequestBody):
                for content in self.request_body.content.values():
                    content.examples = {**examples}
            answer = (self.responses or {}).get("200")
            if isinstance(answer, OpenAPIResponse) and answer.content is not None:
                answer.content["text/event-stream"] = media

    return StreamingOperation


def assets() -> Router:
    """Return the route of the page's scripts and styles."""
    files = Path(litestar_offline_docs.__file__).parent / "static"
    return create_static_files_router(_ASSETS, [files], include_in_schema=False)
