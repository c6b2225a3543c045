#!/usr/bin/env bash
# openai 3.57.0 (pydantic 2.14.4): what client.responses.compact() returns, "a list of all user messages, followed by a
# single compaction item", as the docstring of CompactedResponse.output has it.
# One would guess: a message of the user is read as one, and model_dump() gives what came.
# What happens: the type of that list has no messages of users. A user's message is read as a ResponseOutputMessage, whose
# role can only be "assistant"; model_dump() warns of values that are not expected, and its input_text has got annotations.
# Seen: ResponseOutputMessage with the role user; model_dump() warned: True; its part: annotations, logprobs, text, type
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openai==3.57.0 pydantic==2.14.4
cat > "$folder/compact.py" <<'PY'
import json
import sys
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from threading import Thread

from openai import OpenAI

PART = {"type": "input_text", "text": "We set out on Monday."}
MESSAGE = {"type": "message", "id": "msg_1", "status": "completed", "role": "user", "content": [PART]}
BODY = {
    "id": "resp_1",
    "object": "response.compaction",
    "created_at": 1,
    "output": [MESSAGE, {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}],
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    },
}


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(BODY).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with HTTPServer(("127.0.0.1", 0), Api) as server:
    Thread(target=server.serve_forever, daemon=True).start()
    client = OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="unused")
    found = client.responses.compact(model="any", input="We set out on Monday.")
    server.shutdown()
message = found.output[0]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    part = found.model_dump()["output"][0]["content"][0]
warned = any("PydanticSerializationUnexpectedValue" in str(warning.message) for warning in caught)
print(f"openai {version('openai')}, pydantic {version('pydantic')}")
print(
    f"{type(message).__name__} with the role {message.role}; model_dump() warned: {warned}; "
    f"its part: {', '.join(sorted(part))}"
)
is_so = type(message).__name__ == "ResponseOutputMessage" and message.role == "user" and warned and "annotations" in part
sys.exit(not is_so)
PY
env -i PATH="$PATH" HOME="$folder" "$folder/venv/bin/python" "$folder/compact.py"
