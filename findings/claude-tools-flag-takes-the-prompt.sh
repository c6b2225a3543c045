#!/usr/bin/env bash
# Claude Code 2.1.332 (the binary in the wheel claude-agent-sdk 0.2.189), flags of `claude -p`.
# One would guess: `claude -p --tools "" "hello"` asks "hello" without tools.
# What happens: --tools takes any number of values, also after an empty one, so the prompt becomes the name of a tool and
# is missing; --strict-mcp-config between them ends the list. Nothing is asked of any API in either case here.
# Seen: prompt behind --tools "": no prompt / another flag between them: asks
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps claude-agent-sdk==0.2.189
claude=$(echo "$folder"/venv/lib/python3*/site-packages/claude_agent_sdk/_bundled/claude)
mkdir "$folder/home"
# nothing listens on the discard port of this machine: a question that is asked cannot be delivered
run() {
  (cd "$folder/home" && env -i PATH="$PATH" HOME="$folder/home" ANTHROPIC_API_KEY=dummy ANTHROPIC_BASE_URL=http://127.0.0.1:9 \
    CLAUDE_CODE_MAX_RETRIES=0 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 DISABLE_AUTOUPDATER=1 DISABLE_TELEMETRY=1 \
    DISABLE_ERROR_REPORTING=1 timeout 40 "$claude" "$@" 2>&1 </dev/null || true)
}
verdict() {
  case "$1" in
    *"Input must be provided"*) echo "no prompt" ;;
    *ECONNREFUSED*) echo "asks" ;;
    *) echo "something else: $1" ;;
  esac
}
run --version
behind=$(verdict "$(run -p --tools "" "hello")")
between=$(verdict "$(run -p --tools "" --strict-mcp-config "hello")")
echo "prompt behind --tools \"\": $behind / another flag between them: $between"
[ "$behind" = "no prompt" ] && [ "$between" = "asks" ]
