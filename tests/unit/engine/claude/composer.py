"""A stand-in for the CLI without a process: it composes what it would ask the upstream as the CLI does.

It keeps a history of its own, queues the user's lines and takes the assistant's at once, asks about each call of a
tool, and is open about every rule that it sees broken.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct, field

from claude_relay.engine.claude.process import ChildProcess

Block = dict[str, Any]
Ending = Literal["result", "cut", "dies early", "dies late"]

OWN_TOOL = "OwnTool"
"""A tool that the stand-in runs by itself, as an agent does."""

_pids = itertools.count(100_000)


class Reply(Struct, frozen=True):
    """What the upstream answers.

    Attributes:
        blocks: Texts and calls. The call of a tool of the stand-in's own is followed by its result.
        ending: How the turn ends: with a result, at a token limit, or with the process, before or after the blocks.
    """

    blocks: tuple[Block, ...] = ({"type": "text", "text": "ok"},)
    ending: Ending = "result"


class Body(Struct, frozen=True):
    """What the upstream was asked."""

    system: str | None
    model: str
    messages: list[tuple[str, list[Block]]]
    extra: dict[str, Any]
    listed: list[str]


class Ledger(Struct):
    """What the stand-in was asked to do.

    Attributes:
        bodies: What it asked the upstream.
        proofs: How often it had to prove that it is empty.
        boundaries: Boundaries since its first question.
        wrongs: Rules that were broken.
        closed: Whether somebody saw to its end.
    """

    bodies: list[Body] = field(default_factory=list)
    proofs: int = 0
    boundaries: int = 0
    wrongs: list[str] = field(default_factory=list)
    closed: bool = False


class Composer(ChildProcess):
    """See above.

    Attributes:
        reply: What the upstream will answer next.
        gate: While it is clear, nothing is answered.
        leaks: Whether nothing clears the history.
        history: What its next request would carry along.
        ledger: What it was asked to do.
    """

    def __init__(self, model: str = "sonnet") -> None:
        # not that of ChildProcess: there is no child
        self.reply = Reply()
        self.gate = asyncio.Event()
        self.gate.set()
        self.leaks = False
        self.history: list[tuple[str, list[Block]]] = []
        self.ledger = Ledger()
        self._pid = next(_pids)
        self._code: int | None = None
        self._gone = False
        self._failed_proof = False
        self._settings: dict[str, Any] = {"model": model, "env": {}}
        self._initialized: dict[str, Any] | None = None
        self._listed: list[str] = []
        self._seen: set[str] = set()
        self._places: dict[str, int] = {}
        self._out: deque[dict[str, Any]] = deque()
        self.dismissed = False
        self._queue: deque[dict[str, Any]] = deque()
        self._turn: Iterator[dict[str, Any]] = iter(())
        self._answers: dict[str, dict[str, Any]] = {}
        self._news = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def returncode(self) -> int | None:
        return self._code

    @property
    def model(self) -> str:
        return str(self._settings["model"])

    @property
    def seems_alive(self) -> bool:
        return self._code is None

    @property
    def works(self) -> bool:
        return not self._gone

    def die(self, *, seen: bool) -> None:
        """End, and let that be known at once or only to who next wants something."""
        self._gone = True
        self._code = 1 if seen else self._code
        self.gate.set()
        self._news.set()

    def kill(self) -> None:
        self.dismissed = True
        self.die(seen=True)

    async def close(self) -> None:
        self.dismissed = True
        self.die(seen=True)
        self.ledger.closed = True

    async def last_words(self) -> str:
        self._code = 1 if self._code is None else self._code
        return ""

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)
        if self._gone:
            raise ConnectionError
        for line in map(json.loads, data.splitlines()):
            self._take(line)
        self._news.set()

    async def read_line(self) -> bytes | None:
        await self.readable()
        return json.dumps(self._out.popleft()).encode() if self._out and not self._gone else None

    async def readable(self) -> None:
        while not (self._gone or self._out):
            await asyncio.sleep(0)
            if (line := next(self._turn, None)) is not None:
                self._out.append(line)
            elif self._queue:
                if self._queue[0].get("shouldQuery", True):
                    await self.gate.wait()
                self._turn = self._take_turn(self._queue.popleft())
            else:
                self._news.clear()
                await self._news.wait()

    # --- what it is told ---------------------------------------------------------------------------------------------

    def _take(self, line: dict[str, Any]) -> None:
        if (uuid := line.get("uuid")) is not None:
            if uuid in self._seen:
                self.ledger.wrongs.append("a line came twice")
                return
            self._seen.add(uuid)
        match line["type"]:
            case "control_request":
                self._control(line["request_id"], line["request"])
            case "control_response":
                self._answers[line["response"]["request_id"]] = line["response"]["response"]
            case "system":
                self.ledger.boundaries += bool(self.ledger.bodies)
                if not self.leaks:
                    self.history.clear()
                    self._places = dict.fromkeys(self._places, 0)
            case "assistant":
                self.history.append(("assistant", line["message"]["content"]))
            case "user":
                self._queue.append(line)

    def _control(self, request_id: str, request: dict[str, Any]) -> None:
        response: dict[str, Any] = {}
        match request["subtype"]:
            case "initialize" if self._initialized is not None:
                self.ledger.wrongs.append("a second initialize, which changes nothing")
            case "initialize":
                self._initialized = request
                if "sdkMcpServers" in request:
                    self._turn = self._get_to_know_tools()
            case "apply_flag_settings":
                if request["settings"].get("model", self.model) != self.model:
                    self.history.append(("user", [_text("the model was changed")]))
                self._settings = {**self._settings, **request["settings"]}
            case "rewind_conversation":
                self.ledger.proofs += 1
                response = self._rewind(request["target_message_uuid"], request["last_seen_user_message_uuid"])
                self._failed_proof = response.get("precedingAssistantUuid", "") is not None
            case "interrupt" if self._queue:
                self._queue.clear()
                self._out.append({"type": "result", "subtype": "error_during_execution", "is_error": True})
        reply = {"subtype": "success", "request_id": request_id, "response": response}
        self._out.append({"type": "control_response", "response": reply})

    def _rewind(self, target: str, last: str) -> dict[str, Any]:
        """Forget a line and all after it, and name an answer that stands before it."""
        assert last == next(reversed(self._places)), "lines were told after the last one that was seen"
        if self.leaks:
            return {"rewound": False, "error": "target not found"}
        del self.history[self._places[target] :]
        self._places.clear()
        left = any(role == "assistant" for role, _ in self.history)
        return {"rewound": True, "precedingAssistantUuid": "an answer" if left else None}

    def _get_to_know_tools(self) -> Iterator[dict[str, Any]]:
        yield _question("mcp-1", subtype="mcp_message", message={"method": "initialize", "params": {}, "id": 0})
        yield _question("mcp-2", subtype="mcp_message", message={"method": "notifications/initialized"})
        yield _question("mcp-3", subtype="mcp_message", message={"method": "tools/list", "id": 1})
        listed = self._answers.pop("mcp-3")["mcp_response"]["result"]["tools"]
        self._listed = sorted(tool["name"] for tool in listed)

    # --- what it does ------------------------------------------------------------------------------------------------

    def _take_turn(self, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self._failed_proof:
            self.ledger.wrongs.append("it was asked although it could not prove that it is empty")
        self._places[line["uuid"]] = len(self.history)
        self.history.append(("user", line["message"]["content"]))
        yield {"type": "system", "subtype": "init", "user_message_uuids": [line["uuid"]]}
        if line.get("shouldQuery") is False:
            yield {"type": "result", "subtype": "success", "num_turns": 0}
            return
        self.ledger.bodies.append(self._body())
        yield from self._answer(self.reply)

    def _body(self) -> Body:
        told = self._initialized or {}
        system = told.get("appendSystemPrompt") or "".join(told.get("systemPrompt", [])) or None
        extra = json.loads(self._settings["env"].get("CLAUDE_CODE_EXTRA_BODY") or "{}")
        return Body(system, self.model, list(self.history), extra, self._listed)

    def _answer(self, reply: Reply) -> Iterator[dict[str, Any]]:
        if reply.ending == "dies early":
            self.die(seen=False)
            return
        said: list[Block] = []
        yield _event(type="message_start", message={"usage": {}})
        for number, block in enumerate(reply.blocks):
            said.append(block)
            yield from _streamed(block)
            if block["type"] == "tool_use":
                yield _question(
                    f"hook-{number}", subtype="hook_callback", input={"tool_name": block["name"], "tool_input": {}}
                )
                deferred = bool(self._answers.pop(f"hook-{number}"))
                if deferred is (block["name"] == OWN_TOOL):
                    self.ledger.wrongs.append(f"{block['name']}: deferred is {deferred}")
            if block.get("name") == OWN_TOOL:
                yield _stop("tool_use")
                result = {"type": "tool_result", "tool_use_id": block["id"], "content": [_text("done")]}
                self.history += [("assistant", said), ("user", [result])]
                said = []
                yield _event(type="message_start", message={"usage": {}})
        if reply.ending == "dies late":
            self.die(seen=False)
            return
        if said:
            self.history.append(("assistant", said))
        called = any(block["type"] == "tool_use" for block in said)
        yield _stop("max_tokens" if reply.ending == "cut" else "tool_use" if called else "end_turn")
        yield {"type": "result", "subtype": "success", "total_cost_usd": float(len(self.ledger.bodies))}


def _streamed(block: Block) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        yield _event(type="content_block_start", content_block={"type": "text", "text": ""})
        yield _event(type="content_block_delta", delta={"type": "text_delta", "text": block["text"]})
        return
    arguments = block.get("raw", json.dumps(block["input"]))
    start = {"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}
    yield _event(type="content_block_start", content_block=start)
    for piece in (arguments[:3], arguments[3:]):
        yield _event(type="content_block_delta", delta={"type": "input_json_delta", "partial_json": piece})


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _event(**event: Any) -> dict[str, Any]:
    return {"type": "stream_event", "event": event, "parent_tool_use_id": None}


def _stop(reason: str) -> dict[str, Any]:
    return _event(type="message_delta", delta={"stop_reason": reason}, usage={})


def _question(request_id: str, **request: Any) -> dict[str, Any]:
    return {"type": "control_request", "request_id": request_id, "request": request}
