"""The resources that the relay may use: the tightest limits of the machine, the cgroups and the user."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import psutil
from msgspec import Struct

_CONTROLLERS = ("memory", "cpu", "pids")
_UNIFIED = ""
"""What /proc/self/cgroup calls the one hierarchy of version 2."""

Read = Callable[[str], str | None]
"""Returns the text of a file, None if it cannot be read."""


class Bound(Struct, frozen=True, order=True):
    """A limit, and who set it.

    Attributes:
        value: The limit.
        source: Where it comes from, in a few words for the operator.
    """

    value: int
    source: str


class Resources(Struct, frozen=True):
    """What may be used.

    Attributes:
        memory: Bytes.
        cores: Processors that can be busy at the same time, a fraction rounded up.
        tasks: Processes and threads at once; None if nothing limits them.
        descriptors: Files and connections that one process may have open; None if nothing limits them.
    """

    memory: Bound
    cores: Bound
    tasks: Bound | None = None
    descriptors: Bound | None = None


def find() -> Resources:
    """Return what this process may use."""
    return tightest(_of_the_machine(), bounds(_read))


def tightest(machine: Resources, bounds_: dict[str, list[Bound]]) -> Resources:
    """Return the tightest limit of each kind.

    Args:
        machine: What there is.
        bounds_: What a cgroup allows, by the names of the fields.
    """
    found = {}
    for field in machine.__struct_fields__:
        known = getattr(machine, field)
        found[field] = min([*([known] if known else []), *bounds_.get(field, [])], default=None)
    return Resources(**found)  # type: ignore[arg-type]


def bounds(read: Read) -> dict[str, list[Bound]]:
    """Return the limits of this process's cgroups and of all that contain them, as far as they can be seen.

    Args:
        read: Reads a file by its absolute path.
    """
    found: dict[str, list[Bound]] = {"memory": [], "cores": [], "tasks": []}
    for controller, version, folder in _folders(read("/proc/self/cgroup") or "", read("/proc/self/mountinfo") or ""):
        number, value = _LIMITS[controller, version]
        for limit in value(lambda name, folder=folder: read(f"{folder}/{name}")):  # type: ignore[misc]
            found[number].append(Bound(limit, f"cgroup {folder}"))
    return found


def _folders(cgroup: str, mountinfo: str) -> Iterator[tuple[str, int, PurePosixPath]]:
    """Yield each folder that may limit this process, with the controller and the version of its files."""
    mounts = dict(_mounts(mountinfo))
    for line in cgroup.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name not in mounts:
                continue
            root, top = mounts[name]
            controllers = _CONTROLLERS if name == _UNIFIED else (name,)
            for folder in _upwards(top, _relative(path, root)):
                yield from ((controller, 2 if name == _UNIFIED else 1, folder) for controller in controllers)


def _mounts(mountinfo: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the hierarchies that are mounted: the name that /proc/self/cgroup gives them, their root, and where."""
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        root, top = (part.replace("\\040", " ") for part in mount.split()[3:5])
        kind, _, options = filesystem.split(maxsplit=2)
        if kind == "cgroup2":
            yield _UNIFIED, (root, top)
        elif kind == "cgroup":
            yield from ((name, (root, top)) for name in options.split(",") if name in _CONTROLLERS)


def _relative(path: str, root: str) -> PurePosixPath:
    """Return where in a mount a cgroup is: a container may see only the part of the tree that is its own."""
    inside = PurePosixPath(path)
    if ".." in inside.parts or not inside.is_relative_to(root):
        return PurePosixPath()
    return inside.relative_to(root)


def _upwards(top: str, inside: PurePosixPath) -> Iterator[PurePosixPath]:
    yield from (PurePosixPath(top) / folder for folder in (inside, *inside.parents))


def _memory_1(read: Read) -> Iterator[int]:
    yield from _numbers(read("memory.limit_in_bytes"))
    # what contains a container may be out of sight, and counts all the same
    for line in (read("memory.stat") or "").splitlines():
        if line.startswith("hierarchical_memory_limit "):
            yield from _numbers(line.partition(" ")[2])


def _memory_2(read: Read) -> Iterator[int]:
    for name in ("memory.max", "memory.high"):
        yield from _numbers(read(name))


def _cores_1(read: Read) -> Iterator[int]:
    yield from _cores(read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))


def _cores_2(read: Read) -> Iterator[int]:
    quota, _, period = (read("cpu.max") or "").partition(" ")
    yield from _cores(quota, period)


def _tasks(read: Read) -> Iterator[int]:
    yield from _numbers(read("pids.max"))


def _cores(quota: str | None, period: str | None) -> Iterator[int]:
    for part in _numbers(quota):
        for whole in _numbers(period):
            yield math.ceil(part / whole)


def _numbers(text: str | None) -> Iterator[int]:
    """Yield the number that a file holds; ``max`` and -1 are no limits, and neither is what is no file."""
    if text is not None and text.strip().isdecimal() and int(text) > 0:
        yield int(text)


_LIMITS: dict[tuple[str, int], tuple[str, Callable[[Read], Iterator[int]]]] = {
    ("memory", 1): ("memory", _memory_1),
    ("memory", 2): ("memory", _memory_2),
    ("cpu", 1): ("cores", _cores_1),
    ("cpu", 2): ("cores", _cores_2),
    ("pids", 1): ("tasks", _tasks),
    ("pids", 2): ("tasks", _tasks),
}


def _of_the_machine() -> Resources:
    return Resources(
        Bound(psutil.virtual_memory().total, "machine"),
        Bound(_processors(), "machine"),
        # those of root are not counted
        _of_the_user("RLIMIT_NPROC") if hasattr(os, "getuid") and os.getuid() else None,
        _of_the_user("RLIMIT_NOFILE"),
    )


def _processors() -> int:
    """Return how many processors this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _of_the_user(name: str) -> Bound | None:
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - there is none on Windows

    limit, _ = resource.getrlimit(getattr(resource, name))
    return None if limit == resource.RLIM_INFINITY else Bound(limit, name)


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a string as good as a path
            return file.read()
    except OSError:
        return None
