"""API keys are understood as they are written down, and nothing ever shows them."""

import hmac

import pytest

from claude_relay.access.keys import Entry, owner, parse_keys
from claude_relay.errors import SettingsError


def entries(*texts: str) -> list[Entry]:
    return [Entry(f"key {place}", text) for place, text in enumerate(texts, 1)]


def names(*texts: str) -> list[str]:
    return [key.name for key in parse_keys(entries(*texts))]


def test_a_key_has_the_name_it_was_given_or_is_called_after_its_place() -> None:
    assert names("alice=correct-horse", "battery-staple", "bob@work=another-key", "the-fourth-one") == [
        "alice",
        "key-2",
        "bob@work",
        "key-4",
    ]


def test_spaces_around_a_name_and_a_key_do_not_count() -> None:
    (key,) = parse_keys(entries(" alice = correct-horse "))

    assert key.name == "alice"
    assert owner([key], [b"correct-horse"]) == "alice"


def test_a_key_with_a_name_may_hold_equals_signs() -> None:
    assert owner(parse_keys(entries("alice=Y29ycmVjdA==")), [b"Y29ycmVjdA=="]) == "alice"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alice=sEcReT!", "key 1: expected a key of 8 characters"),
        ("sEcReT!", "8 characters"),
        ("", "8 characters"),
        ("alice=", "8 characters"),
        ("sEcReTsEcReT==", "8 characters"),
        ("=sEcReTsEcReT", "NAME=KEY"),
        ("sEcReT sEcReT=sEcReTsEcReT", "NAME=KEY"),
        ("a" * 65 + "=sEcReTsEcReT", "NAME=KEY"),
        ("alice=sEcReT sEcReT", "without spaces"),
        ("alice=sEcReTsEcReTÿ", "ASCII"),
    ],
)
def test_what_is_no_key_is_told_by_its_place_and_never_shown(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_keys(entries(text))

    assert raised.value.message.startswith("key 1: ")
    assert words in raised.value.message
    assert "sEcReT" not in raised.value.message
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        (("alice=sEcReTsEcReT", "alice=sEcReTother"), "name"),
        (("alice=sEcReTsEcReT", "bob=sEcReTsEcReT"), "key"),
        (("key-2=sEcReTsEcReT", "sEcReTother"), "name"),
        (("sEcReTsEcReT", "sEcReTsEcReT"), "key"),
    ],
)
def test_no_two_keys_are_the_same_or_have_the_same_name(texts: tuple[str, ...], what: str) -> None:
    with pytest.raises(SettingsError, match=f"key 2: expected another {what} than that of key 1") as raised:
        parse_keys(entries(*texts))

    assert "sEcReT" not in raised.value.message


def test_an_entry_does_not_show_its_key() -> None:
    assert "sEcReT" not in f"{Entry('key 1', 'alice=sEcReT')!r} {parse_keys(entries('alice=sEcReTsEcReT'))}"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ([b"correct-horse"], "alice"),
        ([b"battery-staple"], "bob"),
        ([b"unused", b"battery-staple"], "bob"),
        ([b"correct-hors"], None),
        ([b"correct-horse "], None),
        ([b"Correct-horse"], None),
        ([b""], None),
        ([b"\xff" * 100], None),
        ([], None),
    ],
)
def test_only_the_very_key_is_its_owners(sent: list[bytes], name: str | None) -> None:
    assert owner(parse_keys(entries("alice=correct-horse", "bob=battery-staple")), sent) == name


@pytest.mark.parametrize("sent", [b"first-key", b"second-key", b"third-key", b"none of them"])
def test_every_key_is_compared_whichever_it_is(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, ...]] = []
    really = hmac.compare_digest

    def compare(*pair: bytes) -> bool:
        compared.append(pair)
        return really(pair[0], pair[1])

    monkeypatch.setattr(hmac, "compare_digest", compare)
    known = parse_keys(entries("first-key", "second-key", "third-key"))

    owner(known, [sent])

    assert [pair[0] for pair in compared] == [key.digest for key in known]
    assert {len(part) for pair in compared for part in pair} == {32}
