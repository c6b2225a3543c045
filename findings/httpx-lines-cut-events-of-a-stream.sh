#!/usr/bin/env bash
# httpx 0.28.1: a text/event-stream read line by line with Response.iter_lines, as scripts read the streams of models.
# One would guess: its lines are those of the event stream format, which end at CR and LF, so each event is one line.
# What happens: they end wherever str.splitlines ends one, also at U+2028 or U+0085 inside the JSON of an event. JSON
# may have these unescaped, so the line that begins with "data: " is no JSON, and the rest of the event is a line without
# a field, which readers pass over. httpx-sse 0.4.3 reads the same bytes as one event.
# Seen: iter_lines: 2 lines, JSON: no; httpx-sse: 1 event, JSON: yes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
environ=(env -i PATH="$PATH" HOME="$folder")
"${environ[@]}" python3 -m venv "$folder/python"
"${environ[@]}" "$folder/python/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpx-sse==0.4.3
cat > "$folder/read.py" <<'PY'
import json
import sys

import httpx
import httpx_sse

event = "data: " + json.dumps({"text": "one\u2028two"}, ensure_ascii=False) + "\n\n"


def respond(request):
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=event.encode())


def is_json(text):
    try:
        return "yes" if json.loads(text) else "no"
    except ValueError:
        return "no"


with httpx.Client(transport=httpx.MockTransport(respond), base_url="http://127.0.0.1") as client:
    lines = [line for line in client.get("/").iter_lines() if line]
    with httpx_sse.connect_sse(client, "GET", "/") as source:
        events = [found.data for found in source.iter_sse()]
told = f"iter_lines: {len(lines)} lines, JSON: {is_json(lines[0].removeprefix('data: '))}"
told += f"; httpx-sse: {len(events)} event, JSON: {is_json(events[0])}"
print(f"httpx {httpx.__version__}\n{told}")
sys.exit(told != "iter_lines: 2 lines, JSON: no; httpx-sse: 1 event, JSON: yes")
PY
"${environ[@]}" "$folder/python/bin/python" "$folder/read.py"
