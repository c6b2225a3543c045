"""What may be used: the tightest of all limits, wherever a container's are written down."""

import os
import sys
from collections.abc import Mapping

import psutil
import pytest

from claude_relay.engine.limits import resources
from claude_relay.engine.limits.resources import Bound, Resources, bounds, tightest

GIGABYTE = 1 << 30
V1 = "\n".join(
    f"{number} 31 0:{number} {{root}} /sys/fs/cgroup/{names} rw,relatime - cgroup cgroup rw,{names}"
    for number, names in ((32, "cpu,cpuacct"), (35, "memory"), (39, "pids"))
)
V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
OTHERS = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 / /proc rw - proc proc rw\n"


def found(mounts: str, own: str, files: Mapping[str, str]) -> dict[str, set[int]]:
    """Return the limits that some files say, below /sys/fs/cgroup."""
    there = {
        "/proc/self/cgroup": own,
        "/proc/self/mountinfo": OTHERS + mounts,
        **{f"/sys/fs/cgroup/{name}": text for name, text in files.items()},
    }
    return {name: {bound.value for bound in limits} for name, limits in bounds(there.get).items()}


def test_a_container_of_version_2_sees_its_own_cgroup_as_the_root() -> None:
    files = {"memory.max": "1073741824\n", "memory.high": "max\n", "cpu.max": "150000 100000\n", "pids.max": "100\n"}

    assert found(V2.format(root="/"), "0::/\n", files) == {"memory": {GIGABYTE}, "cores": {2}, "tasks": {100}}


def test_every_cgroup_that_contains_another_counts() -> None:
    files = {
        "a/b/memory.max": "max\n",
        "a/b/cpu.max": "max 100000\n",
        "a/memory.max": "3000\n",
        "a/memory.high": "2000\n",
        "a/cpu.max": "20000 100000\n",
        "memory.max": "4000\n",
        "a/pids.max": "max\n",
    }

    limits = found(V2.format(root="/"), "0::/a/b\n", files)

    assert limits == {"memory": {2000, 3000, 4000}, "cores": {1}, "tasks": set()}


@pytest.mark.parametrize(
    ("root", "path"), [("/docker/x", "/docker/x"), ("/docker/x", "/../y"), ("/docker/x", "/elsewhere"), ("/", "/")]
)
def test_a_container_of_version_1_finds_its_cgroup_whatever_its_path_is_outside(root: str, path: str) -> None:
    own = f"4:memory:{path}\n2:cpuacct,cpu:{path}\n8:pids:{path}\n1:name=systemd:{path}\n0::{path}\n"
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.stat": "cache 0\nhierarchical_memory_limit 1073741824\nrss 5\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "pids/pids.max": "64\n",
    }

    limits = found(V1.format(root=root), own, files)

    assert limits == {"memory": {GIGABYTE, 9223372036854771712}, "cores": {1}, "tasks": {64}}


def test_both_versions_may_be_there_at_once() -> None:
    mounts = f"{V1.format(root='/')}\n{V2.format(root='/').replace('/sys/fs/cgroup ', '/sys/fs/cgroup/unified ')}"
    files = {"memory/job/memory.limit_in_bytes": "1000\n", "cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}

    limits = found(mounts, "4:memory:/job\n2:cpu,cpuacct:/\n0::/\n", files)

    assert limits == {"memory": {1000}, "cores": set(), "tasks": set()}


@pytest.mark.parametrize("files", [{}, {"memory.max": "0\n"}, {"memory.max": "much\n", "cpu.max": "\n"}])
def test_what_cannot_be_read_limits_nothing(files: dict[str, str]) -> None:
    nothing: dict[str, set[int]] = {"memory": set(), "cores": set(), "tasks": set()}

    assert found(V2.format(root="/"), "0::/\n", files) == nothing
    assert not any(bounds(lambda _: None).values())


def test_the_tightest_limit_counts_and_says_whose_it_is() -> None:
    machine = Resources(Bound(8000, "machine"), Bound(4, "machine"), None, Bound(1024, "RLIMIT_NOFILE"))
    allowed = {"memory": [Bound(9000, "a"), Bound(5000, "b")], "cores": [], "tasks": [Bound(100, "c")]}

    assert tightest(machine, allowed) == Resources(
        Bound(5000, "b"), Bound(4, "machine"), Bound(100, "c"), Bound(1024, "RLIMIT_NOFILE")
    )


def test_what_this_machine_has_is_found() -> None:
    here = resources.find()

    assert 0 < here.memory.value <= psutil.virtual_memory().total
    assert 0 < here.cores.value <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells on which cores a process may run")
def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert resources.find().cores.value == 1
    finally:
        os.sched_setaffinity(0, before)
