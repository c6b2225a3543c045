"""The site of mkdocs.yml has every page, each once; ``mkdocs build --strict`` checks what is in them."""

from typing import Any

import yaml

from tests.docs.pages import PAGES, ROOT
from tests.docs.picture import PICTURE, drawn


class _Loader(yaml.SafeLoader):
    """Reads a configuration without the Python objects in it."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)

SITE: dict[str, Any] = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)


def _paths(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [path for part in (entry if isinstance(entry, list) else entry.values()) for path in _paths(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(_paths(SITE["nav"])) == sorted(str(path.relative_to(ROOT)) for path in PAGES)


def test_nothing_is_fetched_from_other_hosts() -> None:
    assert SITE["theme"]["font"] is False
    # offline brings a script of another host along, and privacy asks hosts while the site is built
    assert SITE["plugins"] == ["search"]
    assert "extra_javascript" not in SITE
    assert all((ROOT / path).is_file() for path in SITE["extra_css"])


def test_the_picture_of_the_console_is_what_the_script_draws() -> None:
    assert PICTURE.read_text() == drawn()
