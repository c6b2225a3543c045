#!/usr/bin/env bash
# Claude Code 2.1.332 (the binary in the wheel claude-agent-sdk 0.2.189), stream-json input, `initialize` with jsonSchema.
# One would guess: a schema that Claude Code cannot use is an error, as it is on the command line (--json-schema), or at
# least the answer says that there was none.
# What happens: with everyday keywords of today's generators (the dialect of 2020, a tuple, an example) `initialize` is
# answered with success, and the model is asked without the tool for the answer: the run ends as a success, with text.
# Seen: plain: tool, draft 2020-12: no tool (initialize success), prefixItems: no tool (initialize success),
# example: no tool (initialize success)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps claude-agent-sdk==0.2.189
cat > "$folder/ask.py" <<'PY'
import glob, http.server, json, os, subprocess, sys, threading

EVENTS = [
    {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
     "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]

class Upstream(http.server.BaseHTTPRequestHandler):
    tools = []
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Upstream.tools.append([tool["name"] for tool in body.get("tools", [])])
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in EVENTS:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    def log_message(self, *_):
        pass

folder = sys.argv[1]
(claude,) = glob.glob(f"{folder}/venv/lib/python3*/site-packages/claude_agent_sdk/_bundled/claude")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()
home = f"{folder}/home"
os.makedirs(home)
environ = {
    "PATH": os.environ["PATH"], "HOME": home, "ANTHROPIC_API_KEY": "dummy",
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}
print(subprocess.run([claude, "--version"], env=environ, capture_output=True, text=True).stdout.strip())
name = {"type": "string"}
schemas = {
    "plain": {"type": "object", "properties": {"name": name}},
    "draft 2020-12": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"name": name}},
    "prefixItems": {"type": "object", "properties": {"at": {"type": "array", "prefixItems": [name]}}},
    "example": {"type": "object", "properties": {"name": name}, "example": {"name": "Ada"}},
}
seen = {}
for kind, schema in schemas.items():
    Upstream.tools.clear()
    lines = [
        {"type": "control_request", "request_id": "1", "request": {"subtype": "initialize", "jsonSchema": schema}},
        {"type": "user", "message": {"role": "user", "content": "Who?"}, "parent_tool_use_id": None, "session_id": ""},
    ]
    told = subprocess.run(
        [claude, "-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json", "--safe-mode", "--tools", ""],
        input="".join(json.dumps(line) + "\n" for line in lines), env=environ, cwd=home, capture_output=True, text=True, timeout=40,
    ).stdout
    (reply,) = [line["response"]["subtype"] for line in map(json.loads, told.splitlines()) if line["type"] == "control_response"]
    seen[kind] = "tool" if "StructuredOutput" in Upstream.tools[0] else f"no tool (initialize {reply})"
print(", ".join(f"{kind}: {found}" for kind, found in seen.items()))
wanted = ["tool", *["no tool (initialize success)"] * 3]
sys.exit(list(seen.values()) != wanted)
PY
"$folder/venv/bin/python" "$folder/ask.py" "$folder"
