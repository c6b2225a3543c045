"""What docs/security.md says of attacks is shown by the tests it names."""

from tests.docs.pages import assert_each_names_tests, rows, section


def test_every_attack_names_tests_that_exist() -> None:
    attacks = rows(section("docs/security.md", "## Attacks, and the tests that show what happens"))
    assert len(attacks) > 10
    assert_each_names_tests(attacks)
