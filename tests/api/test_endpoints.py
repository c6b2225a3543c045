"""What each endpoint says, in process, over the echo runner."""

import json
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from claude_relay import __version__
from claude_relay.asgi import create_app
from claude_relay.engine.echo import EchoRunner
from claude_relay.settings import Settings
from tests.api.conftest import Client
from tests.callers import calling

HELLO = [{"role": "user", "content": "hi"}]


def _ask(client: Client, text: str, **fields: object) -> dict[str, object]:
    body = {"messages": [{"role": "user", "content": text}], **fields}
    answer: dict[str, object] = client.post("/v1/chat/completions", json=body).json()
    return answer


def test_a_whole_answer_is_exactly_what_openai_sends(client: Client) -> None:
    answer = _ask(client, "two words", model="gpt-x")
    assert re.fullmatch(r"chatcmpl-\w+", str(answer.pop("id")))
    assert isinstance(answer.pop("created"), int)
    assert answer == {
        "object": "chat.completion",
        "model": "gpt-x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "two words", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 2,
            "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


def test_a_stream_that_fails_ends_in_one_error_frame(client: Client) -> None:
    body = {"messages": [{"role": "user", "content": "!echo error=429 after=2\na b c d"}], "stream": True}
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200
    *chunks, last = [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]
    assert last["error"]["code"] == "rate_limit_exceeded"
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["", "a ", "b "]
    assert "[DONE]" not in response.text


def test_ignored_parameters_are_named(client: Client) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "seed": 1, "frequency_penalty": 0, "unknown_one": True}
    for stream in (False, True):
        response = client.post("/v1/chat/completions", json={**body, "stream": stream})
        assert response.headers["x-claude-relay-ignored"] == "seed, unknown_one"
    plain = client.post("/v1/chat/completions", json={"messages": body["messages"]})
    assert "x-claude-relay-ignored" not in plain.headers


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_models_are_listed_and_any_model_can_be_retrieved(client: Client, prefix: str) -> None:
    listed = client.get(f"{prefix}/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["echo", "echo:chat", "echo:agent"]
    assert "echo" in listed["data"][0]["owned_by"]
    for name in (*(model["id"] for model in listed["data"]), "sonnet", "anthropic/claude-x", "opus:chat"):
        model = client.get(f"{prefix}/models/{name}").json()
        assert (model["id"], model["object"], type(model["created"])) == (name, "model", int)


def test_a_key_may_have_a_personality_of_its_own_and_a_models_name_still_says_more() -> None:
    keys = ("webui=battery-staple", "ann=correct-horse")
    settings = Settings(personality="agent", personality_for=("webui=chat",), api_keys=keys)
    with calling(create_app(settings, EchoRunner())) as client:
        found = {
            (key, model): client.post(
                "/v1/chat/completions",
                json={"messages": [{"role": "user", "content": "hi"}], "model": model},
                headers={"authorization": f"Bearer {key}"},
            ).headers["x-claude-relay-personality"]
            for key in ("battery-staple", "correct-horse")
            for model in ("echo", "echo:agent", "echo:chat")
        }

    assert found == {
        ("battery-staple", "echo"): "chat",
        ("battery-staple", "echo:agent"): "agent",
        ("battery-staple", "echo:chat"): "chat",
        ("correct-horse", "echo"): "agent",
        ("correct-horse", "echo:agent"): "agent",
        ("correct-horse", "echo:chat"): "chat",
    }


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_health_says_what_it_is(client: Client, prefix: str) -> None:
    health = client.get(f"{prefix}/health").json()
    assert (health["status"], health["version"], health["runner"]) == ("ok", __version__, "echo")
    assert "no model" in health["detail"]["note"]
    assert "reason" not in health


def test_any_web_page_may_read_errors_and_that_of_this_machine_answers(client: Client) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization,content-type,x-stainless-lang"
    preflight = client.options("/v1/chat/completions", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] in {"*", "https://a.example"}
    assert "x-stainless-lang" in preflight.headers["access-control-allow-headers"] or (
        preflight.headers["access-control-allow-headers"] == "*"
    )
    for origin, status in (("https://a.example", 403), ("http://localhost:3000", 200)):
        answer = client.get("/v1/models", headers={"origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


def test_the_document_shows_every_operation_once_under_openais_names(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    operations = {
        (path, method): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        ("/v1/chat/completions", "post"): "createChatCompletion",
        ("/v1/conversations", "post"): "createConversation",
        ("/v1/conversations/{conversation_id}", "get"): "getConversation",
        ("/v1/conversations/{conversation_id}", "post"): "updateConversation",
        ("/v1/conversations/{conversation_id}", "delete"): "deleteConversation",
        ("/v1/conversations/{conversation_id}/items", "post"): "createConversationItems",
        ("/v1/conversations/{conversation_id}/items", "get"): "listConversationItems",
        ("/v1/conversations/{conversation_id}/items/{item_id}", "get"): "getConversationItem",
        ("/v1/conversations/{conversation_id}/items/{item_id}", "delete"): "deleteConversationItem",
        ("/v1/responses", "post"): "createResponse",
        ("/v1/responses/{response_id}", "get"): "getResponse",
        ("/v1/responses/{response_id}", "delete"): "deleteResponse",
        ("/v1/responses/{response_id}/input_items", "get"): "listInputItems",
        ("/v1/responses/{response_id}/cancel", "post"): "cancelResponse",
        ("/v1/messages", "post"): "createMessage",
        ("/v1/messages/count_tokens", "post"): "countMessageTokens",
        ("/v1/completions", "post"): "createCompletion",
        ("/v1/responses/input_tokens", "post"): "countInputTokens",
        ("/v1/responses/compact", "post"): "compactResponse",
        ("/v1/approvals", "get"): "listApprovals",
        ("/v1/approvals/{approval_id}", "post"): "decideApproval",
        ("/v1/models", "get"): "listModels",
        ("/v1/models/{model}", "get"): "retrieveModel",
        ("/v1/health", "get"): "getHealth",
        ("/v1/metrics", "get"): "getMetrics",
    }


def test_the_chat_operation_shows_both_answers_and_examples_that_work(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    operation = document["paths"]["/v1/chat/completions"]["post"]
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert {"400", "401", "404", "413", "429", "502", "503"} < set(operation["responses"])
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) >= 3
    for example in examples.values():
        assert client.post("/v1/chat/completions", json=example["value"]).status_code == 200
    parts = document["components"]["schemas"]["UserMessage"]["properties"]["content"]
    assert "#/components/schemas/TextPart" in json.dumps(parts)


def test_the_swagger_page_needs_no_internet(client: Client) -> None:
    page = client.get("/schema/swagger").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    local = [source for source in sources if not source.startswith("data:")]
    assert len(local) == 3
    for source in local:
        assert source.startswith("/")
        assert client.get(source).status_code == 200


# --- what a chat request asks for ------------------------------------------------------------------------------------


def _chunks(client: Client, text: str, **fields: object) -> list[dict[str, Any]]:
    body = {"messages": [{"role": "user", "content": text}], "stream": True, **fields}
    *events, done = client.post("/v1/chat/completions", json=body).text.strip().split("\n\n")
    assert done == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_several_answers_are_asked_for_and_their_usage_is_one_sum(client: Client) -> None:
    answer: Any = _ask(client, "two words", n=3)

    assert [(choice["index"], choice["message"]["content"]) for choice in answer["choices"]] == [
        (index, "two words") for index in range(3)
    ]
    assert answer["usage"]["total_tokens"] == 12


def test_several_answers_in_a_stream_each_have_a_role_and_a_finish_reason(client: Client) -> None:
    chunks = _chunks(client, "two words", n=2, stream_options={"include_usage": True})

    choices = [chunk["choices"][0] for chunk in chunks[:-1]]
    for index in (0, 1):
        mine = [choice for choice in choices if choice["index"] == index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert "".join(choice["delta"].get("content", "") for choice in mine) == "two words"
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 8


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_a_stream_tells_no_usage_unless_it_was_asked_to(client: Client, options: object) -> None:
    assert all("usage" not in chunk and chunk["choices"] for chunk in _chunks(client, "hi", stream_options=options))


def test_every_chunk_of_a_stream_has_one_id_one_time_and_one_model(client: Client) -> None:
    chunks = _chunks(client, "a b c", model="gpt-x")

    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1


@pytest.mark.parametrize("absent", [{}, {"stream": None}, {"stream": False}])
def test_without_a_wish_to_stream_the_answer_is_whole(client: Client, absent: dict[str, object]) -> None:
    assert _ask(client, "hi", **absent)["object"] == "chat.completion"


def test_a_limit_and_a_stop_sequence_end_the_answer(client: Client) -> None:
    limited: Any = _ask(client, "one two three", model="echo:chat", max_tokens=2)["choices"]
    stopped: Any = _ask(client, "one two three", stop=["three", "two"])["choices"]

    assert (limited[0]["message"]["content"], limited[0]["finish_reason"]) == ("one two ", "length")
    assert (stopped[0]["message"]["content"], stopped[0]["finish_reason"]) == ("one ", "stop")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "personality"), [("x", "agent"), ("x:chat", "chat"), ("x:agent", "agent")])
def test_an_answer_tells_what_answered(client: Client, model: str, personality: str, stream: bool) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "model": model, "stream": stream}

    response = client.post("/v1/chat/completions", json=body)

    assert response.headers["x-claude-relay-personality"] == personality


def test_an_answer_has_the_name_of_the_model_that_the_client_used() -> None:
    settings = Settings(alias=("gpt-4o=sonnet:chat",))
    with calling(create_app(settings, EchoRunner())) as client:
        response = client.post("/v1/chat/completions", json={"messages": HELLO, "model": "gpt-4o"})
        listed = client.get("/v1/models").json()["data"]

    assert response.json()["model"] == "gpt-4o"
    assert response.headers["x-claude-relay-personality"] == "chat"
    assert [model["id"] for model in listed] == ["echo", "echo:chat", "echo:agent", "gpt-4o"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_strict_relay_refuses_what_has_no_effect(stream: bool) -> None:
    with calling(create_app(Settings(strict=True), EchoRunner())) as client:
        response = client.post("/v1/chat/completions", json={"messages": HELLO, "seed": 1, "stream": stream})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "seed"


@pytest.mark.parametrize("sent", [None, "mine-1"])
def test_an_answer_has_an_id_and_a_time(client: Client, sent: str | None) -> None:
    headers = {} if sent is None else {"x-request-id": sent}

    response = client.post("/v1/chat/completions", json={"messages": HELLO}, headers=headers)

    assert response.headers["x-request-id"] == sent or sent is None
    assert response.headers["openai-processing-ms"].isdigit()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "new_thing",
        pytest.param("a\r\nx-evil: 1", id="line break"),
        pytest.param("ключ", id="not Latin"),
        pytest.param("x" * 20_000, id="long"),
    ],
)
def test_whatever_a_field_is_called_that_nobody_knows_the_response_can_be_sent(
    client: Client, name: str, stream: bool
) -> None:
    response = client.post("/v1/chat/completions", json={"messages": HELLO, name: 1, "stream": stream})

    assert response.status_code == 200
    told = response.headers["x-claude-relay-ignored"]
    assert told.isascii()
    assert told.isprintable()
    assert len(told) < 8_000


def test_of_many_parameters_without_effect_the_first_are_named(client: Client) -> None:
    response = client.post("/v1/chat/completions", json={"messages": HELLO, **{f"f{n:03}": 1 for n in range(100)}})

    told = response.headers["x-claude-relay-ignored"].split(", ")
    assert told == [*(f"f{n:03}" for n in range(30)), "and 70 more"]


PAGES = ["/health", "/v1/health", "/models", "/v1/models", "/v1/models/sonnet", "/schema", "/schema/swagger"]
PAGES += ["/schema/openapi.json", "/schema/assets/swagger-ui.css", "/nothing", "/v1/chat/completions"]


@pytest.mark.parametrize("path", PAGES)
def test_head_is_answered_wherever_get_is_with_the_same_status_and_headers_and_no_body(
    client: Client, path: str
) -> None:
    whole, head = client.get(path), client.head(path)

    varying = {"x-request-id", "request-id", "openai-processing-ms"}
    assert head.status_code == whole.status_code
    assert {**head.headers, **dict.fromkeys(varying)} == {**whole.headers, **dict.fromkeys(varying)}
    assert head.content == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("PUT", "/v1/models/sonnet", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/v1/chat/completions", {"POST", "OPTIONS"}),
        ("HEAD", "/v1/chat/completions", {"POST", "OPTIONS"}),
    ],
)
def test_a_method_that_a_path_does_not_have_is_told_which_it_has(
    client: Client, method: str, path: str, allowed: set[str]
) -> None:
    response = client.request(method, path)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


# --- metrics ---------------------------------------------------------------------------------------------------------


def test_figures_of_requests_and_of_the_server_are_there_for_prometheus(client: Client) -> None:
    client.post("/v1/chat/completions", json={"model": "echo:chat", "messages": [{"role": "user", "content": "hi"}]})
    client.get("/nowhere")

    response = client.get("/metrics")

    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert {"claude_relay_ok", "claude_relay_event_loop_stalls", "claude_relay_log_lines_lost"} <= families.keys()
    requests = [sample.labels for sample in families["claude_relay_requests"].samples if sample.value]
    assert {"path": "/v1/chat/completions", "status": "200", "personality": "chat", "error": ""} in requests
    assert "other" in {labels["path"] for labels in requests if labels["status"] == "404"}
    assert client.get("/v1/metrics").status_code == 200
