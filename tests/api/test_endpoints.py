"""What each endpoint says, in process, over the echo runner."""

import json
import re

import pytest

from claude_relay import __version__
from tests.api.conftest import Client


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
    assert [model["id"] for model in listed["data"]] == ["echo"]
    assert "echo" in listed["data"][0]["owned_by"]
    for name in ("sonnet", "anthropic/claude-x", "opus:chat"):
        model = client.get(f"{prefix}/models/{name}").json()
        assert (model["id"], model["object"], type(model["created"])) == (name, "model", int)


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_health_says_what_it_is(client: Client, prefix: str) -> None:
    health = client.get(f"{prefix}/health").json()
    assert (health["status"], health["version"], health["runner"]) == ("ok", __version__, "echo")
    assert "no model" in health["detail"]["note"]
    assert "reason" not in health


def test_any_web_page_may_read_answers_and_errors(client: Client) -> None:
    asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization,content-type,x-stainless-lang"
    preflight = client.options("/v1/chat/completions", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] in {"*", "https://a.example"}
    assert "x-stainless-lang" in preflight.headers["access-control-allow-headers"] or (
        preflight.headers["access-control-allow-headers"] == "*"
    )
    for path in ("/v1/models", "/nothing"):
        assert client.get(path, headers={"origin": "https://a.example"}).headers["access-control-allow-origin"] == "*"


def test_the_document_shows_every_operation_once_under_openais_names(client: Client) -> None:
    document = client.get("/schema/openapi.json").json()
    operations = {
        (path, method): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        ("/v1/chat/completions", "post"): "createChatCompletion",
        ("/v1/models", "get"): "listModels",
        ("/v1/models/{model}", "get"): "retrieveModel",
        ("/v1/health", "get"): "getHealth",
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
