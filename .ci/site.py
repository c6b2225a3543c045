"""The files of the site, for MkDocs: the pages keep the paths that they have in the repository, so their links hold."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SHOWN = ("*.md", "LICENSE", "docs/**/*", "docker/*.md", "examples/*")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the theme's files, and those of the repository that the site shows."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    shown = sorted({path for pattern in SHOWN for path in ROOT.glob(pattern) if path.is_file()})
    return Files([*theme, *(_file(path, config) for path in shown)])


def _file(path: Path, config: MkDocsConfig) -> File:
    return File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
