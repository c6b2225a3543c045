"""A path that nobody serves is told with what is served, and with what to do instead."""

import pytest

from claude_relay.errors import NotFoundError
from claude_relay.web.unserved import INSTEAD, not_found
from tests.docs.pages import ROOT

API = (ROOT / "docs/api.md").read_text()
SERVED = ("/v1/chat/completions", "/chat/completions", "/v1/models", "/models")


def told(path: str, served: tuple[str, ...] = SERVED) -> str:
    return not_found("POST", path, served).message


@pytest.mark.parametrize("first", INSTEAD)
@pytest.mark.parametrize("form", ["/v1/{}", "/{}", "/v1/{}/", "/v1/{}/some_id/cancel", "v1/{}"])
def test_each_path_of_openais_is_known_with_and_without_its_prefix_and_with_all_below_it(first: str, form: str) -> None:
    assert INSTEAD[first] in told(form.format(first))


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/embedding", "/v1/v1/embeddings", "/v2/files", "/", "/v1/chat"])
def test_of_any_other_path_only_what_is_served_is_told(path: str) -> None:
    assert told(path) == f"Invalid URL (POST {path}). Served are /v1/chat/completions, /v1/models."


@pytest.mark.parametrize(
    ("served", "named"),
    [
        (("/models",), "/models"),
        (("/a/v1/models", "/a/v1/health"), "/a/v1/models, /a/v1/health"),
        (("/health", "/v1/health"), "/v1/health"),
    ],
)
def test_a_path_is_named_once_in_its_longest_form(served: tuple[str, ...], named: str) -> None:
    assert told("/x", served).endswith(f"Served are {named}.")


def test_where_nothing_is_served_nothing_is_named() -> None:
    assert told("/x", ()) == "Invalid URL (POST /x)."


def test_it_is_the_error_of_a_path_that_does_not_exist() -> None:
    error = not_found("GET", "/v1/files", SERVED)

    assert isinstance(error, NotFoundError)
    assert (error.status, error.code, error.param) == (404, "not_found", None)


@pytest.mark.parametrize("advice", INSTEAD.values())
def test_each_advice_is_a_sentence(advice: str) -> None:
    assert advice[0].isupper()
    assert advice.endswith(".")


@pytest.mark.parametrize("first", INSTEAD)
def test_the_docs_name_each_path_of_openais(first: str) -> None:
    assert f"`/v1/{first}`" in API or f"`/v1/{first}/*`" in API
