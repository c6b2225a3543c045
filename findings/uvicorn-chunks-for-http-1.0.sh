#!/usr/bin/env bash
# uvicorn 0.54.0 with httptools 0.9.0 (its default where that is installed), an answer without a content-length.
# One would guess: a client that speaks HTTP/1.0, which has no chunks, gets an answer that ends with the connection.
# What happens: it gets `transfer-encoding: chunked`, and the sizes of chunks stand within its text. With h11 0.16.0 the
# same application answers as one would guess.
# Seen: httptools: b'2\r\nHi\r\n0\r\n\r\n' / h11: b'Hi'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat > "$folder/ask.py" <<'PY'
import socket, sys, threading, time
import uvicorn

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Hi"})

def body(http):
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=http, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with socket.create_connection(listening.getsockname(), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n")
        received = b""
        while data := client.recv(65536):
            received += data
    server.should_exit = True
    thread.join()
    return received.partition(b"\r\n\r\n")[2]

found = body("httptools"), body("h11")
print(f"uvicorn {uvicorn.__version__}: httptools: {found[0]!r} / h11: {found[1]!r}")
sys.exit(found != (b"2\r\nHi\r\n0\r\n\r\n", b"Hi"))
PY
"$folder/venv/bin/python" "$folder/ask.py"
