"""The tree of errors."""

from collections.abc import Iterator

import pytest

from claude_relay import errors
from claude_relay.errors import RelayError, quoted
from tests.docs.pages import ROOT


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
    assert error.retry_after is None


HOPELESS = {400, 401, 403, 404, 405, 409, 413, 415, 426, 504}
"""Statuses of errors that stay, however often a client asks; quotas beside them have a time of their own."""


@pytest.mark.parametrize("kind", KINDS)
def test_asking_again_cannot_help_where_the_request_is_at_fault_or_its_time_was_used_up(kind: type[RelayError]) -> None:
    is_hopeless = kind.status in HOPELESS or kind is errors.QuotaError

    assert kind("words").should_retry is (False if is_hopeless else None)


@pytest.mark.parametrize("code", errors.RETRIES)
@pytest.mark.parametrize("kind", [errors.UpstreamError, errors.UnavailableError, RelayError])
def test_the_code_of_a_failure_may_tell_more_than_its_status(kind: type[RelayError], code: str) -> None:
    assert kind("words", code=code).should_retry is errors.RETRIES[code]
    assert kind("words", code=code, retry_after=1).should_retry is errors.RETRIES[code]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, True), (1.0, True), (60.0, True), (60.1, False), (3600.0, False)]
)
@pytest.mark.parametrize("kind", [errors.RateLimitError, errors.UnavailableError, errors.TooManyConnectionsError])
def test_asking_again_helps_after_a_time_that_sdks_wait_for(
    kind: type[RelayError], seconds: float, expected: bool
) -> None:
    assert kind("words", retry_after=seconds).should_retry is expected


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", [errors.InvalidRequestError, errors.UpstreamError, errors.RateLimitError])
def test_who_raises_an_error_knows_best_whether_to_ask_again(kind: type[RelayError], given: bool) -> None:
    assert kind("words", code="internal_error", retry_after=3600 * given, should_retry=given).should_retry is given


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


@pytest.mark.parametrize("code", errors.RETRIES)
def test_the_docs_tell_which_failures_are_not_worth_another_try(code: str) -> None:
    page = (ROOT / "docs/api.md").read_text()
    table = page[page.index("### Asking again") : page.index("### Paths that are not served")]
    rows = [row.split("|")[1:3] for row in table.splitlines() if f"`{code}`" in row]

    assert [told.strip() for _, told in rows] == [f"`{str(errors.RETRIES[code]).lower()}`"]
