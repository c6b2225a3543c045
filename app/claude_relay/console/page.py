"""The page at ``/`` with its files, which the relay serves itself: no script, style or font comes from elsewhere."""

from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.static_files import create_static_files_router

from claude_relay import __version__
from claude_relay.console.schemas import Introduction
from claude_relay.web import draining

FILES = "/console/files"
"""The path of the page's files."""
PATHS = ("/", FILES)
"""What a browser loads before it can ask for a key."""
_DIRECTORY = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # after an update the files belong together again
    "cache-control": "no-cache",
}


def router(*, needs_key: bool) -> Router:
    """Return the routes of the page.

    Args:
        needs_key: Whether callers need a key.
    """
    page = (_DIRECTORY / "index.html").read_bytes()

    @get("/", opt={draining.SERVE_WHILE_DRAINING: True}, include_in_schema=False)
    async def index(request: Request[Any, Any, Any]) -> Response[Any]:
        if wants_page(request.headers.get("accept", "")):
            return Response(page, media_type=MediaType.HTML, headers={**_HEADERS, "vary": "accept"})
        introduction = Introduction(version=__version__, needs_key=needs_key)
        return Response(introduction, headers={"vary": "accept", "cache-control": "no-cache"})

    files = create_static_files_router(FILES, [_DIRECTORY], after_request=_guarded)
    return Router("/", route_handlers=[index, files])


def wants_page(accept: str) -> bool:
    """Whether a client that accepts this is a browser that shows pages; clients of APIs get JSON."""
    return "text/html" in accept


def _guarded(response: Response[Any]) -> Response[Any]:
    response.headers.update(_HEADERS)
    return response
