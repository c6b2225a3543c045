"""Worktrees of real repositories."""

import logging
import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from claude_relay.engine.claude import orphans
from claude_relay.engine.claude.worktrees import Worktree, Worktrees
from claude_relay.errors import UnavailableError

ENVIRON = {
    "PATH": os.environ["PATH"],
    **{f"GIT_{who}_{what}": "x@x.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(directory: Path | str, *arguments: str) -> str:
    """Return what a command of git writes."""
    command = ("git", "-C", str(directory), *arguments)
    return subprocess.run(command, env=ENVIRON, check=True, capture_output=True, text=True).stdout.strip()


def branches(repository: Path) -> list[str]:
    return git(repository, "branch", "--format=%(refname:short)").split()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    (path / "part").mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / "part" / "file.txt").write_text("first\n")
    (path / ".gitignore").write_text("*.log\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message=first")
    return path


@pytest.fixture
def trees(tmp_path: Path, repository: Path) -> Worktrees:
    return Worktrees(tmp_path / "state" / "worktrees", {**ENVIRON, "HOME": str(repository.parent)})


def test_a_worktree_has_what_was_committed_in_the_directory_that_was_asked_for(
    trees: Worktrees, repository: Path, tmp_path: Path
) -> None:
    (repository / "part" / "file.txt").write_text("not committed\n")

    tree = trees.make("docs", str(repository / "part"))

    assert Path(tree.directory, "file.txt").read_text() == "first\n"
    assert Path(tree.path).parent == tmp_path / "state" / "worktrees"
    assert Path(tree.path).parent.stat().st_mode & 0o077 == 0
    assert git(tree.path, "branch", "--show-current") == tree.branch == f"claude-relay/{Path(tree.path).name}"


def test_a_directory_that_was_never_committed_is_there_all_the_same(trees: Worktrees, repository: Path) -> None:
    (repository / "new").mkdir()

    tree = trees.make("docs", str(repository / "new"))

    assert Path(tree.directory).is_dir()
    trees.remove(tree)
    assert not Path(tree.path).exists()


def test_several_worktrees_of_one_repository_differ(trees: Worktrees, repository: Path) -> None:
    first, second = (trees.make("docs", str(repository)) for _ in range(2))

    assert (first.path == second.path, first.branch == second.branch) == (False, False)


def test_nothing_is_left_of_one_that_nobody_worked_in(trees: Worktrees, repository: Path, tmp_path: Path) -> None:
    tree = trees.make("docs", str(repository))
    Path(tree.path, "build.log").write_text("what the repository ignores")

    trees.remove(tree)

    assert list((tmp_path / "state" / "worktrees").iterdir()) == []
    assert branches(repository) == ["main"]
    assert git(repository, "worktree", "list").count("\n") == 0


def change(tree: Worktree) -> None:
    Path(tree.directory, "part", "file.txt").write_text("second\n")


def add(tree: Worktree) -> None:
    Path(tree.path, "new.txt").write_text("new")


def add_where_new_files_are_not_shown(tree: Worktree) -> None:
    git(tree.repository, "config", "status.showUntrackedFiles", "no")
    add(tree)


def commit(tree: Worktree) -> None:
    change(tree)
    git(tree.path, "commit", "--quiet", "--all", "--message=second")


def commit_elsewhere(tree: Worktree) -> None:
    git(tree.path, "checkout", "--quiet", "--detach")
    commit(tree)


@pytest.mark.parametrize("work", [change, add, add_where_new_files_are_not_shown, commit, commit_elsewhere])
def test_work_is_kept_and_named_in_the_log(
    trees: Worktrees, repository: Path, caplog: pytest.LogCaptureFixture, work: object
) -> None:
    assert callable(work)
    tree = trees.make("docs", str(repository))
    work(tree)

    trees.remove(tree)

    assert Path(tree.path).is_dir()
    assert tree.branch in branches(repository)
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{tree.path} (branch {tree.branch}) has c" in line
    # it is the user's from now on
    trees.remove(tree)
    trees.remove_left()
    assert Path(tree.path).is_dir()


def test_what_was_committed_to_its_branch_outlives_a_worktree_that_was_left_as_it_began(
    trees: Worktrees, repository: Path
) -> None:
    tree = trees.make("docs", str(repository))
    commit(tree)
    git(tree.path, "checkout", "--quiet", "--detach", tree.base)

    trees.remove(tree)

    assert not Path(tree.path).exists()
    assert tree.branch in branches(repository)


def test_one_that_the_agent_removed_is_forgotten(trees: Worktrees, repository: Path) -> None:
    tree = trees.make("docs", str(repository))
    subprocess.run(("rm", "-r", tree.path), check=True)

    trees.remove(tree)

    assert branches(repository) == ["main"]
    assert git(repository, "worktree", "list").count("\n") == 0


def test_one_that_cannot_be_removed_is_named_in_the_log(
    trees: Worktrees, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree = trees.make("docs", str(repository))
    Path(tree.path, ".git").unlink()

    trees.remove(tree)

    assert f"{tree.path} could not be removed" in caplog.text
    assert Path(tree.path).is_dir()


def test_the_next_relay_removes_what_one_that_is_gone_left(trees: Worktrees, repository: Path) -> None:
    left, worked_in, own = (trees.make("docs", str(repository)) for _ in range(3))
    add(worked_in)
    gone = orphans.ProcessTag(orphans.namespace(), 2**22 + 1, "1", 0)
    for tree in (left, worked_in):
        Path(f"{tree.path}.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(tree, owner=str(gone))))
    Path(f"{own.path}-broken.json").write_text("{")

    trees.remove_left()

    assert [Path(tree.path).exists() for tree in (left, worked_in, own)] == [False, True, True]


def test_where_no_relay_made_any_there_is_nothing_to_remove(trees: Worktrees, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        trees.remove_left()

    assert caplog.records == []


def test_a_repository_without_commits_has_no_worktrees(trees: Worktrees, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")

    with pytest.raises(UnavailableError, match="No git worktree") as raised:
        trees.make("docs", str(tmp_path / "empty"))

    assert raised.value.code == "no_worktree"


def test_a_place_that_cannot_be_written_to_is_an_error_that_says_so(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnavailableError, match="Not a directory"):
        Worktrees(tmp_path / "file" / "worktrees", ENVIRON).make("docs", str(repository))


def test_hooks_of_the_repository_see_no_setting_of_the_relay(repository: Path, tmp_path: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    hook.chmod(0o755)

    Worktrees(tmp_path / "trees", {**ENVIRON, "CLAUDE_RELAY_API_KEYS": "sEcReT"}).make("docs", str(repository))

    assert "PATH=" in (tmp_path / "seen").read_text()
    assert "sEcReT" not in (tmp_path / "seen").read_text()


def test_the_variables_of_a_hook_do_not_lead_to_another_repository(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "other")
    environ = {**ENVIRON, "GIT_DIR": str(tmp_path / "other" / ".git"), "GIT_WORK_TREE": str(tmp_path / "other")}

    tree = Worktrees(tmp_path / "trees", environ).make("docs", str(repository))

    assert tree.repository == str(repository)
    assert Path(tree.path, "part", "file.txt").exists()
