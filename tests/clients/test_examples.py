"""The examples that need a client of this dependency group."""

import json
from pathlib import Path

from tests.examples.running import ANSWER, TWO_CALLS, output_of
from tests.upstream import FakeUpstream


def test_langchain(base_url: str, home: Path, upstream: FakeUpstream) -> None:
    upstream.replies(TWO_CALLS, ANSWER)
    assert output_of("langchain_agent.py", base_url, home) == "In Rome.\n"
    sent = json.dumps(upstream.messages_requests[-1].body)
    assert all(result in sent for result in ("toolu_1", "-3", "toolu_2", "14"))
