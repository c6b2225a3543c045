#!/usr/bin/env bash
# Claude Code 2.1.332 (the binary in the wheel claude-agent-sdk 0.2.189), `claude -p` with CLAUDE_CODE_MAX_RETRIES=0.
# One would guess: no retries means that a question which the API refuses is one request.
# What happens: a 400 and a 422 are asked three times, a 404 twice, without a word of it on the output. Each time
# an optional beta feature is left out; after a 404 the last request is the same without streaming.
# Seen: 400: 3 requests, 422: 3 requests, 404: 2 requests, 403: 1 request
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps claude-agent-sdk==0.2.189
cat > "$folder/count.py" <<'PY'
import glob, http.server, json, os, subprocess, sys, threading

class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status, asked = 200, 0
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Upstream.asked += self.path.startswith("/v1/messages?")
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
        body = json.dumps(error).encode()
        self.send_response(Upstream.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
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
    "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{server.server_port}", "CLAUDE_CODE_MAX_RETRIES": "0",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}
print(subprocess.run([claude, "--version"], env=environ, capture_output=True, text=True).stdout.strip())
seen = {}
for status in (400, 422, 404, 403):
    Upstream.status, Upstream.asked = status, 0
    subprocess.run([claude, "-p", "hello", "--safe-mode", "--tools", ""], env=environ, cwd=home, capture_output=True, stdin=subprocess.DEVNULL, timeout=40)
    seen[status] = Upstream.asked
print(", ".join(f"{status}: {count} request{'s' * (count > 1)}" for status, count in seen.items()))
sys.exit(seen != {400: 3, 422: 3, 404: 2, 403: 1})
PY
"$folder/venv/bin/python" "$folder/count.py" "$folder"
