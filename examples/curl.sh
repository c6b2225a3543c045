#!/usr/bin/env bash
# An answer as server-sent events. `data: [DONE]` ends it.
set -euo pipefail

curl --silent --show-error --fail-with-body --no-buffer \
  "${OPENAI_BASE_URL:-http://localhost:8082/v1}/chat/completions" \
  -H "Authorization: Bearer ${OPENAI_API_KEY:-unused}" \
  -H "Content-Type: application/json" \
  -d '{"model": "sonnet:chat", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
