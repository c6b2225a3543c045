#!/usr/bin/env bash
# llama-index-llms-openai-like 0.8.1 (llama-index-core 0.14.25, llama-index-llms-openai 0.8.3): a tool call that max_tokens cut.
# One would guess: an agent does not run a tool whose arguments ended in mid JSON, with finish_reason "length". It tells the
# model, as AutoGen, crewAI and Semantic Kernel do.
# What happens: what there is of the JSON is closed, and the tool runs with it: with the first digits of a number, the first
# items of a list, and null for a text that was cut. Removing what is older than 365 days becomes removing what is older than 3.
# Seen: the model wrote {"folder": "/srv/logs", "older_than_days": 3 and was cut: remove('/srv/logs', 3) was called
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet llama-index-core==0.14.25 llama-index-llms-openai==0.8.3 llama-index-llms-openai-like==0.8.1
cat > "$folder/cut.py" <<'PY'
import asyncio
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from threading import Thread

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

CUT = '{"folder": "/srv/logs", "older_than_days": 3'
CALL = {"id": "call_1", "type": "function", "function": {"name": "remove", "arguments": CUT}}
ANSWERS = [
    ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "length"),
    ({"role": "assistant", "content": "Done."}, "stop"),
]
removed = []


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message, reason = ANSWERS.pop(0)
        choice = {"index": 0, "message": message, "finish_reason": reason}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "any", "choices": [choice]}
        said = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


def remove(folder: str, older_than_days: int) -> str:
    """Remove old files."""
    removed.append((folder, older_than_days))
    return "It is gone."


async def ask(url):
    model = OpenAILike(model="any", api_base=url, api_key="unused", is_chat_model=True, is_function_calling_model=True)
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(remove)], llm=model, streaming=False)
    await agent.run("Remove what is older than a year.")


with HTTPServer(("127.0.0.1", 0), Model) as server:
    Thread(target=server.serve_forever, daemon=True).start()
    asyncio.run(ask(f"http://127.0.0.1:{server.server_port}/v1"))
    server.shutdown()
names = "llama-index-llms-openai-like", "llama-index-core", "llama-index-llms-openai"
print(", ".join(f"{name} {version(name)}" for name in names))
calls = ", ".join(f"remove{arguments!r} was called" for arguments in removed) or "nothing was called"
print(f"the model wrote {CUT} and was cut: {calls}")
sys.exit(removed != [("/srv/logs", 3)])
PY
env -i PATH="$PATH" HOME="$folder" "$folder/venv/bin/python" "$folder/cut.py"
