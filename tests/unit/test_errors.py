"""The tree of errors."""

from collections.abc import Iterator

import pytest

from claude_relay import errors
from claude_relay.errors import RelayError, quoted


def _tree(root: type[RelayError]) -> Iterator[type[RelayError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


KINDS = [kind for kind in _tree(RelayError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_a_type_and_its_words(kind: type[RelayError]) -> None:
    error = kind("words", param="model")

    assert 400 <= error.status < 600
    assert error.type.endswith("_error") or error.type == "insufficient_quota"
    assert (str(error), error.message, error.param) == ("words", "words", "model")
    assert (error.retry_after, error.should_retry) == (None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_of_ones_own_comes_before_that_of_the_class(kind: type[RelayError]) -> None:
    assert kind("words").code == kind.default_code
    assert kind("words", code="mine").code == "mine"


@pytest.mark.parametrize(
    ("kind", "status", "type_"),
    [
        (errors.InvalidRequestError, 400, "invalid_request_error"),
        (errors.AuthenticationError, 401, "authentication_error"),
        (errors.PermissionDeniedError, 403, "permission_error"),
        (errors.NotFoundError, 404, "invalid_request_error"),
        (errors.MethodNotAllowedError, 405, "invalid_request_error"),
        (errors.RequestTooLargeError, 413, "invalid_request_error"),
        (errors.RateLimitError, 429, "rate_limit_error"),
        (errors.UpstreamError, 502, "server_error"),
        (errors.UnavailableError, 503, "server_error"),
    ],
)
def test_an_error_has_the_status_and_type_that_openais_clients_know(
    kind: type[RelayError], status: int, type_: str
) -> None:
    assert (kind.status, kind.type) == (status, type_)


@pytest.mark.parametrize(
    ("text", "shown"), [("it's", '"it\'s"'), ("x" * 200, f"'{'x' * 200}'"), ("x" * 201, f"'{'x' * 200}...'")]
)
def test_what_a_client_sent_is_quoted_at_a_length(text: str, shown: str) -> None:
    assert quoted(text) == shown
