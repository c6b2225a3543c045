"""Images and files, as the upstream gets them."""

import base64
from typing import Any

import pytest

from tests.live.relay import Relay
from tests.upstream import FakeUpstream

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR4nGMQaPhAU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULAK2iAFuRLUlEAAAAAElF"
    "TkSuQmCC"
)
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()


def _blocks(upstream: FakeUpstream) -> list[dict[str, Any]]:
    body = upstream.messages_requests[0].body
    assert body is not None
    turns = [message for message in body["messages"] if message["role"] == "user"]
    blocks = turns[-1]["content"]
    return [
        {name: value for name, value in block.items() if name != "cache_control"}
        for block in blocks
        if not block.get("text", "").startswith("<system-reminder>")
    ]


@pytest.mark.parametrize(
    ("image_url", "source"),
    [
        ({"url": f"data:image/png;base64,{PNG}"}, {"type": "base64", "media_type": "image/png", "data": PNG}),
        (f"data:image/png;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ({"url": "https://a.example/x.png", "detail": "auto"}, {"type": "url", "url": "https://a.example/x.png"}),
    ],
    ids=["data", "plain-string", "link"],
)
def test_images_are_blocks_among_the_texts(
    each: Relay, upstream: FakeUpstream, image_url: object, source: dict[str, str]
) -> None:
    parts = [
        {"type": "text", "text": "before"},
        {"type": "image_url", "image_url": image_url},
        {"type": "text", "text": "after"},
    ]
    response = each.post(messages=[{"role": "user", "content": parts}])
    assert response.status_code == 200
    assert _blocks(upstream) == [
        {"type": "text", "text": "before"},
        {"type": "image", "source": source},
        {"type": "text", "text": "after"},
    ]


def test_images_of_past_turns_arrive_too(each: Relay, upstream: FakeUpstream) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    each.post(
        messages=[
            {"role": "user", "content": [image]},
            {"role": "assistant", "content": "A square."},
            {"role": "user", "content": "Sure?"},
        ]
    )
    body = upstream.messages_requests[0].body
    assert body is not None
    (sent,) = (block for block in body["messages"][0]["content"] if block["type"] == "image")
    assert sent["source"]["data"] == PNG


def test_files_are_documents_with_their_names(each: Relay, upstream: FakeUpstream) -> None:
    text = base64.b64encode(b"name,age\nAda,36\n").decode()
    files = [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "file", "file": {"filename": "b.csv", "file_data": f"data:text/csv;base64,{text}"}},
        {"type": "text", "text": "Compare."},
    ]
    assert each.post(messages=[{"role": "user", "content": files}]).status_code == 200
    pdf, csv, question = _blocks(upstream)
    assert pdf["type"] == csv["type"] == "document"
    assert (pdf["title"], pdf["source"]["media_type"], pdf["source"]["data"]) == ("a.pdf", "application/pdf", PDF)
    assert (csv["title"], csv["source"]["type"], csv["source"]["data"]) == ("b.csv", "text", "name,age\nAda,36\n")
    assert question["text"] == "Compare."
