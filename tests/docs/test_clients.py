"""The page of clients says what the command prints."""

from tests.docs.clients import PAGE, written


def test_the_page_of_clients_has_the_settings_that_the_command_prints() -> None:
    assert PAGE.read_text() == written()
