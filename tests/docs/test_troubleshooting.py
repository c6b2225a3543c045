"""docs/troubleshooting.md says of each error what to do."""

import re

from tests.docs.pages import error_codes, page, rows, section

FAMILIES = ("api", "responses", "messages")
CODE = re.compile(r"`([a-z_]+)`")


def test_every_error_code_has_one_row_that_says_what_to_do() -> None:
    told = [
        code for row in rows(section("docs/troubleshooting.md", "## By error code")) for code in CODE.findall(row[0])
    ]
    tables = [row for name in FAMILIES for row in rows(page(f"docs/{name}.md"))]
    documented = {
        code for status, codes, *_ in tables if re.fullmatch(r"\d{3}", status) for code in CODE.findall(codes)
    }

    assert len(documented) > 50
    assert sorted(told) == sorted(set(told))
    assert set(told) - {"invalid_prompt"} == documented.union(*error_codes().values())
