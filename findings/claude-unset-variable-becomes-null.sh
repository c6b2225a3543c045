#!/usr/bin/env bash
# Claude Code 2.1.332 (the binary in the wheel claude-agent-sdk 0.2.189), control request `apply_flag_settings`.
# One would guess: {"env": {"MY_VARIABLE": null}} unsets the variable for the commands that the agent runs.
# What happens: its commands see the four letters "null" as the value. An empty text ("") unsets it for Claude Code
# itself all the same, and its commands see an empty value.
# Seen: null: MY_VARIABLE=null / "": MY_VARIABLE=
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps claude-agent-sdk==0.2.189
cat > "$folder/look.py" <<'PY'
import glob, http.server, json, os, re, subprocess, sys, threading, uuid

class Upstream(http.server.BaseHTTPRequestHandler):
    """Has the agent run `env`, and keeps what the command said."""
    protocol_version = "HTTP/1.1"
    seen = ""
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = json.dumps(body["messages"])
        if "tool_result" in text:
            Upstream.seen = text
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}
            stop = "end_turn"
        else:
            block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps({"command": "env", "description": "x"})}
            stop = "tool_use"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": body["model"], "content": [], "usage": usage}
        events = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage},
            {"type": "message_stop"},
        ]
        data = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass

folder = sys.argv[1]
(claude,) = glob.glob(f"{folder}/venv/lib/python3*/site-packages/claude_agent_sdk/_bundled/claude")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()
home = f"{folder}/home"
os.makedirs(f"{home}/.claude")
with open(f"{home}/.claude/settings.json", "w") as file:
    json.dump({"permissions": {"allow": ["Bash(env)"]}}, file)
environ = {
    "PATH": os.environ["PATH"], "HOME": home, "ANTHROPIC_API_KEY": "dummy",
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}
print(subprocess.run([claude, "--version"], env=environ, capture_output=True, text=True).stdout.strip())
flags = ["-p", "--verbose", "--input-format", "stream-json", "--output-format", "stream-json"]
found = []
for value in (None, ""):
    change = {"subtype": "apply_flag_settings", "settings": {"env": {"MY_VARIABLE": value}}}
    content = [{"type": "text", "text": "go"}]
    lines = [
        {"type": "control_request", "request_id": "1", "request": change},
        {"type": "user", "message": {"role": "user", "content": content}, "uuid": str(uuid.uuid4()), "session_id": "", "parent_tool_use_id": None},
    ]
    Upstream.seen = ""
    told = "".join(json.dumps(line) + "\n" for line in lines)
    subprocess.run([claude, *flags], input=told, env=environ, cwd=home, capture_output=True, text=True, timeout=40)
    found.append(re.findall(r"MY_VARIABLE=(\w*)\\n", Upstream.seen.replace("\\\\n", "\\n")))
print(f'null: MY_VARIABLE={found[0][0]} / "": MY_VARIABLE={found[1][0]}' if all(found) else f"not seen: {found}")
sys.exit(found != [["null"], [""]])
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder"
