"""A stand-in for the CLI: just enough of its line protocol, and as badly behaved as ``FAKE_CLI`` says.

What it is told goes, line by line, to the file ``FAKE_CLI_LOG``. While it lives it holds a lock on ``FAKE_CLI_LOCK``.
"""

import fcntl
import json
import os
import select
import sys
import time
from typing import Any, NoReturn

MODE = os.environ.get("FAKE_CLI", "")
NOISE = {
    "garbage": b'\nWarning: no JSON\n["list"]\n{"type":"news"}\n',
    "no UTF-8": b'{"type":"system","subtype":"\xff"}\n',
}
_PATIENCE = 0.05
_FENCE_PATIENCE = 0.5
"""Long enough for a relay on a busy machine: whether it engages the guard is asked, not how quickly."""
_settings: dict[str, Any] = {}
"""What was set last."""
_asked: list[str] = []
"""The line that the present turn is for."""
_answered: list[str] = []
"""Questions so far; each answer costs half a dollar."""
PROOFS: dict[str, dict[str, Any]] = {
    "forgets nothing": {"rewound": False, "error": "target not found"},
    "keeps an answer": {"rewound": True, "precedingAssistantUuid": "an answer"},
    "says half of it": {"rewound": True},
    "says it in words": {"rewound": "yes", "precedingAssistantUuid": None},
    "says nothing of it": {},
}


class Input:
    """Lines from stdin; nothing is read ahead of what was asked for, beyond one chunk."""

    def __init__(self) -> None:
        self._bytes = b""

    def waits(self, seconds: float) -> bool:
        """Whether something more has been written, or is within some seconds."""
        return b"\n" in self._bytes or bool(select.select([0], [], [], seconds)[0])

    def line(self) -> dict[str, Any] | None:
        while b"\n" not in self._bytes:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                return None
            self._bytes += chunk
        raw, self._bytes = self._bytes.split(b"\n", 1)
        log(json.loads(raw))
        return dict(json.loads(raw))


def log(told: object) -> None:
    if path := os.environ.get("FAKE_CLI_LOG"):
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - starts faster without pathlib
            file.write(json.dumps(told) + "\n")


def say(**line: object) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def delta(text: str) -> None:
    event = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    say(type="stream_event", event=event, parent_tool_use_id=None)


def result(**fields: object) -> None:
    usage = {"input_tokens": 7, "output_tokens": 2}
    say(**{"subtype": "success", "is_error": False, "result": "", "usage": usage, **fields, "type": "result"})


def end(code: int, words: str) -> NoReturn:
    os.write(2, words.encode())
    time.sleep(_PATIENCE)
    sys.exit(code)


def control(request_id: str, request: dict[str, Any]) -> None:
    if request["subtype"] == "apply_flag_settings":
        _settings.update(request["settings"])
    refused = {"refuses": "initialize", "cannot rewind": "rewind_conversation"}
    if request["subtype"] == refused.get(MODE):
        say(type="control_response", response={"subtype": "error", "request_id": request_id, "error": "too late"})
    elif request["subtype"] == "get_settings" and MODE == "loops":
        env = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8082"}
        found = {"effective": {"env": env}}
        say(type="control_response", response={"subtype": "success", "request_id": request_id, "response": found})
    elif request["subtype"] == "rewind_conversation":
        prove(request_id)
    else:
        say(type="control_response", response={"subtype": "success", "request_id": request_id, "response": {}})


def prove(request_id: str) -> None:
    """Forget the conversation, and say what is left."""
    match MODE:
        case "is silent":
            return
        case "dies of it":
            end(5, "cannot rewind")
        case "garbled":
            os.write(1, b"gone\n")
    found = PROOFS.get(MODE, {"rewound": True, "precedingAssistantUuid": None})
    say(type="control_response", response={"subtype": "success", "request_id": "another's", "response": {}})
    say(type="control_response", response={"subtype": "success", "request_id": request_id, "response": found})


def begin_turn(line: dict[str, Any]) -> None:
    if MODE == "wakes":
        take_turn_of_its_own()
    _asked[:] = [line["uuid"]]
    listed: dict[str, Any] = {"tools": []} if MODE == "drops" else {}
    say(type="system", subtype="init", user_message_uuids=_asked, **listed)


def take_turn_of_its_own() -> None:
    say(type="system", subtype="init")
    say(type="system", subtype="status", status="requesting")
    delta("Your build is done.")
    result()


def requesting() -> None:
    say(type="system", subtype="status", status="requesting", user_message_uuids=_asked)


def take_turn(lines: Input, line: dict[str, Any]) -> None:
    begin_turn(line)
    if line.get("shouldQuery") is False:
        if lines.waits(_PATIENCE):
            log({"type": "impatient"})
        result(num_turns=0)
        return
    text = line["message"]["content"][-1].get("text", "?")
    match MODE:
        case "dies asking":
            requesting()
            end(4, "out of memory")
        case "dies":
            delta("half")
            end(4, "out of memory")
        case "works" | "works on" | "cut":
            work(lines)
        case "goes on" | "calls" | "asks nothing":
            go_on(lines)
        case "unreadable":
            result(result=5)
        case "picky" | "stubborn" if (field := refused_field()) is not None:
            result(is_error=True, api_error_status=400, result=f"API Error: 400 {field}: not supported")
        case "asks" | "asks and withdraws" | "asks in between":
            ask_permissions(lines, text)
        case _:
            os.write(1, NOISE.get(MODE, b""))
            answer(text)


def ask_permission(request_id: str) -> None:
    asked = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}, "tool_use_id": "toolu_1"}
    say(type="control_request", request_id=request_id, request=asked)


def ask_permissions(lines: Input, text: str) -> None:
    """Ask whether a tool may be used, and say what was answered."""
    if MODE == "asks in between":
        message = {"type": "message_start", "message": {"usage": {"input_tokens": 7}}}
        say(type="stream_event", event=message, parent_tool_use_id=None)
        ask_permission("theirs")
        delta("More. ")
        ask_permission("another")
        stop("tool_use")
        lines.line()
    else:
        ask_permission("theirs")
    if MODE == "asks and withdraws":
        say(type="control_cancel_request", request_id="theirs")
        answer(text)
        return
    reply = lines.line()
    answer(str(reply and (reply["response"].get("error") or json.dumps(reply["response"]["response"]))))


def refused_field() -> str | None:
    """Return the wish that a picky upstream does not grant."""
    if MODE == "stubborn":
        return "top_k"
    body = _settings.get("env", {}).get("CLAUDE_CODE_EXTRA_BODY") or ""
    return next((field for field in ("top_k", "top_p", "output_config") if field in body), None)


def answer(text: str) -> None:
    delta(f"You said: {text}")
    stop("end_turn")
    _answered.append(text)
    models = {"some-model": {"contextWindow": 1_000_000}}
    result(modelUsage=models, structured_output={"said": text}, total_cost_usd=0.5 * len(_answered))
    if MODE == "wakes later":
        take_turn_of_its_own()
    if MODE == "asks later":
        ask_permission("later")


def stop(reason: str) -> None:
    say(type="stream_event", event={"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}})


def work(lines: Input) -> None:
    """Go on until interrupted, or even then."""
    delta("half")
    if MODE == "cut":
        stop("max_tokens")
    if lines.line() is not None and MODE != "works on":
        result(subtype="error_during_execution", is_error=True, total_cost_usd=0.25)


def go_on(lines: Input) -> None:
    """Not accept the end of an answer, unless told that nothing more may be asked."""
    requesting()
    blocked = MODE == "asks nothing" or hears_of_block(lines)
    if MODE != "asks nothing":
        delta("half")
    if MODE == "calls":
        call = {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t", "name": "unknown"}}
        say(type="stream_event", event=call)
        blocked = hears_of_block(lines)
    if MODE != "asks nothing":
        stop("tool_use" if MODE == "calls" else "max_tokens")
    if blocked:
        result(is_error=True, terminal_reason="blocking_limit", total_cost_usd=0.5)
    else:
        log({"type": "asked again"})
        time.sleep(60)


def hears_of_block(lines: Input) -> bool:
    while lines.waits(_FENCE_PATIENCE) and (line := lines.line()) is not None:
        control(line["request_id"], line["request"])
        if line["request"].get("settings", {}).get("env", {}).get("CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE") == "1":
            return True
    return False


def start() -> None:
    match MODE:
        case "exits with late words":
            os.close(1)
            time.sleep(_PATIENCE)
            end(3, "cannot start: no disk\n")
        case "exits":
            end(3, "cannot start: no disk\n")
        case "garbage":
            os.write(1, b"Welcome!\n")
        case "deep":
            print('{"type":"control_request","request":' + "[" * 100_000, flush=True)
        case "noise":
            while True:
                os.write(1, b"y\n" * 1000)
        case "deaf":
            time.sleep(60)


def main() -> None:
    if "--version" in sys.argv:
        sys.stdout.write("2.1.330 (Claude Code)\n")
        return
    if path := os.environ.get("FAKE_CLI_LOCK"):
        fcntl.flock(os.open(path, os.O_RDWR | os.O_CREAT), fcntl.LOCK_SH)
    log({"type": "start", "argv": sys.argv[1:], "cwd": os.getcwd(), "files": os.listdir()})  # noqa: PTH109, PTH208
    start()
    lines = Input()
    while (line := lines.line()) is not None:
        match line["type"]:
            case "control_request" if line["request"]["subtype"] == "list_models" and MODE == "deaf later":
                control(line["request_id"], line["request"])
                time.sleep(60)
            case "control_request":
                control(line["request_id"], line["request"])
                if MODE == "wakes first":
                    take_turn_of_its_own()
            case "user":
                take_turn(lines, line)


if __name__ == "__main__":
    main()
