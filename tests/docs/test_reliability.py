"""What docs/reliability.md promises is shown by the tests it names."""

import re

from tests.docs.pages import assert_each_names_tests, page, rows

ROWS = rows(page("docs/reliability.md"))


def test_every_row_names_tests_that_exist() -> None:
    assert len(ROWS) > 15
    assert_each_names_tests(ROWS)


def test_every_error_code_of_the_table_is_one_of_the_api() -> None:
    lines = [line for line in page("docs/api.md").splitlines() if re.match(r"\| \d{3} ", line)]
    errors = set(re.findall(r"`([a-z_]+)`", "".join(lines)))

    for row in ROWS:
        assert set(re.findall(r"(?:50\d|,|:) `([a-z_]+)`", row[1])) <= errors, row
