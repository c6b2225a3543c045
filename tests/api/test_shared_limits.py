"""What callers may use, counted by several servers of one machine together."""

from pathlib import Path

from claude_relay.asgi import create_app
from claude_relay.settings import Settings
from tests.api.conftest import Client
from tests.callers import calling

ASKED = {"model": "sonnet", "messages": [{"role": "user", "content": "Hi"}]}
ANN, BOB = {"authorization": "Bearer key-of-ann"}, {"authorization": "Bearer key-of-bob"}


def statuses(client: Client, caller: dict[str, str], times: int) -> list[int]:
    return [client.post("/v1/chat/completions", json=ASKED, headers=caller).status_code for _ in range(times)]


def test_the_limits_of_a_key_hold_over_servers_that_share_a_store_and_after_a_new_start(tmp_path: Path) -> None:
    settings = Settings(
        runner="echo",
        state_dir=str(tmp_path),
        max_per_minute=3,
        max_usd_per_day=1.0,
        api_keys=("ann=key-of-ann", "bob=key-of-bob"),
    )
    with calling(create_app(settings)) as one, calling(create_app(settings)) as other:
        assert statuses(one, ANN, 2) + statuses(other, ANN, 2) == [200, 200, 200, 429]
        assert statuses(one, ANN, 1) + statuses(one, BOB, 1) == [429, 200]
    with calling(create_app(settings)) as later:
        assert statuses(later, ANN, 1) + statuses(later, BOB, 3) == [429, 200, 200, 429]

    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"key-of-ann" not in kept
    assert b"key-of-bob" not in kept


def test_without_a_store_each_server_counts_alone() -> None:
    settings = Settings(runner="echo", store=False, max_per_minute=1)
    with calling(create_app(settings)) as one, calling(create_app(settings)) as other:
        assert statuses(one, {}, 2) == [200, 429]
        assert statuses(other, {}, 2) == [200, 429]
