"""The relay inside your own Litestar application: run it, then ask http://localhost:8000/v1."""

import uvicorn
from litestar import Litestar, get

from claude_relay import RelayPlugin, Settings


@get("/", sync_to_thread=False)
def index() -> str:
    """Answer as before: your routes, error handlers and logging stay yours."""
    return "Chat at /v1/chat/completions"


app = Litestar([index], plugins=[RelayPlugin(Settings(personality="chat"))])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)
