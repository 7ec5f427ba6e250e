"""What running programs cost: processor time and memory, from /proc."""

import pathlib


def below(root):
    """Process ids of root and all its descendants."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def runs(pid):
    """A process that ended and was not waited for does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def cpu_s(pids):
    """Seconds of processor time so far, all threads; from the scheduler's nanoseconds, as ticks of 10 ms are too coarse."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _lines_of_memory(pid, names):
    """The lines, and which count: a program that only root may look into shows its own memory, and not what it shares."""
    try:
        return pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines(), names
    except PermissionError:
        if "Pss:" in names:
            raise PermissionError("only root can measure the PSS of forebay-core and forebay-cloud") from None
        return pathlib.Path(f"/proc/{pid}/status").read_text().splitlines(), {"RssAnon:"}


def memory_mb(pids, what="Pss"):
    """what: a line of smaps_rollup, or several, added up: "Private_Clean+Private_Dirty"."""
    total = 0
    for pid in pids:
        lines, names = _lines_of_memory(pid, {f"{name}:" for name in what.split("+")})
        for line in lines:
            words = line.split()
            if words and words[0] in names:
                total += int(words[1])
    return total / 1024
