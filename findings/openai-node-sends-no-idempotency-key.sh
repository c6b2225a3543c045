#!/usr/bin/env bash
# openai (Node) 6.49.0: the option idempotencyKey of a request, "a unique key for this request to enable idempotency".
# One would guess: the key is sent as the header Idempotency-Key, with the request and with each retry of it.
# What happens: no header is sent, since the client names none for it, and there is no error: a request that timed out and
# is sent again is another one for the server. With headers: {"Idempotency-Key": ...} it works.
# Seen: idempotencyKey: no header; headers: Idempotency-Key is once
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
environ=(env -i PATH="$PATH" HOME="$folder")
cd "$folder"
"${environ[@]}" npm install --silent --no-audit --no-fund openai@6.49.0
cat > key.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import OpenAI from 'openai';

const seen = [];
const server = createServer((request, response) => {
  seen.push(request.headers['idempotency-key']);
  response.setHeader('content-type', 'application/json').end('{"id": "resp_1", "object": "response", "output": []}');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const client = new OpenAI({ baseURL: `http://127.0.0.1:${server.address().port}/v1`, apiKey: 'unused' });
const asked = { model: 'any', input: 'Hi' };
await client.responses.create(asked, { idempotencyKey: 'once' });
await client.responses.create(asked, { headers: { 'Idempotency-Key': 'once' } });
server.closeAllConnections();
server.close();
console.log(`openai ${JSON.parse(readFileSync('node_modules/openai/package.json')).version}`);
const told = seen.map((key) => (key === undefined ? 'no header' : `Idempotency-Key is ${key}`));
console.log(`idempotencyKey: ${told[0]}; headers: ${told[1]}`);
process.exitCode = seen[0] === undefined && seen[1] === 'once' ? 0 : 1;
JS
"${environ[@]}" node key.mjs
