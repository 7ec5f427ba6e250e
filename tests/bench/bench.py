"""Measures Forebay against physical limits and peers on this machine and writes build/bench.json:
{name: {value, unit, against, ratio}}. Usage: bench.py BUILD_FOLDER [SECONDS]

all.cpu_share, all.pss_mb   all Forebay programs together (nginx aside) while 1000 registers of one Modbus TCP server are polled
                            every second, stored durably and forwarded to RabbitMQ 4; against: collectd's modbus plugin polling the
                            same server in the same run
field.requests_per_s        of the driver over one connection; against: a bare libmodbus loop (bench_field)
link.*                      the link, see bench_link.py
store.*                     what a reading costs in the store; against: the entropy of the data, rows of SQLCipher and of plain
                            SQLite (bench_store, where each is explained)
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "sim"), str(HERE.parent / "decoder")]

REGISTERS = 1000
WARM_UP_S = 15  # the first batches, the link and the allocators settle
FOREBAY = {"forebay-run", "forebay-core", "forebay-field", "forebay-cloud"}


def processes_below(root):
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


def name_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def cpu_s(pids):
    """Seconds of processor time so far, all threads; from the scheduler's nanoseconds, as ticks of 10 ms are too coarse."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def pss_mb(pids):
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def collectd_configuration(folder, port):
    data = "\n".join(
        f'<Data "r{i}">\nRegisterBase {i}\nRegisterType Uint16\nRegisterCmd ReadHolding\nType gauge\nInstance "r{i}"\n</Data>'
        for i in range(REGISTERS)
    )
    collect = "\n".join(f'Collect "r{i}"' for i in range(REGISTERS))
    text = f"""
Hostname "bench"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
ReadThreads 1
WriteThreads 1
LoadPlugin modbus
LoadPlugin csv
<Plugin csv>
DataDir "{folder}/csv"
</Plugin>
<Plugin modbus>
{data}
<Host "server">
Address "127.0.0.1"
Port "{port}"
Interval 1
<Slave 1>
Instance "one"
{collect}
</Slave>
</Host>
</Plugin>
"""
    path = folder / "collectd.conf"
    path.write_text(text)
    return path


def start_collectd(folder, port):
    folder.mkdir()
    return subprocess.Popen(
        ["/usr/sbin/collectd", "-f", "-C", str(collectd_configuration(folder, port))],
        stdout=(folder / "log").open("w"), stderr=subprocess.STDOUT,
    )


def measure_all(seconds):
    """Polls, stores and forwards beside collectd; returns the two figures."""
    import bench_world

    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as scratch, bench_world.World(
        pathlib.Path(scratch), REGISTERS
    ) as world:
        collectd = start_collectd(pathlib.Path(scratch) / "collectd", world.modbus_port)
        try:
            time.sleep(WARM_UP_S)
            pids = [pid for pid in processes_below(world.gateway_pid) if name_of(pid) in FOREBAY]
            begun, ours, theirs = time.monotonic(), cpu_s(pids), cpu_s([collectd.pid])
            time.sleep(seconds)
            passed = time.monotonic() - begun
            ours, theirs = cpu_s(pids) - ours, cpu_s([collectd.pid]) - theirs
            memory, peer_memory = pss_mb(pids), pss_mb([collectd.pid])
            each = {f"{name_of(pid)}-{pid}": round(pss_mb([pid]), 2) for pid in pids}
            world.check()
        finally:
            collectd.send_signal(signal.SIGTERM)
            collectd.wait(10)
    print("PSS of each program in MB:", json.dumps(each))
    return {
        "all.cpu_share": figure(100 * ours / passed, "% of one core", 100 * theirs / passed),
        "all.pss_mb": figure(memory, "MB", peer_memory),
    }


def measure_link():
    import bench_link

    return bench_link.measure()


def figure(value, unit, against):
    return {"value": round(value, 4), "unit": unit, "against": round(against, 4), "ratio": round(value / against, 4)}


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    os.environ["V"] = build.name
    figures = {}
    for program in sorted((build / "tests").glob("bench_*")):
        if os.access(program, os.X_OK) and program.is_file():
            print(f"{program.name} ...", flush=True)
            figures.update(json.loads(subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout))
    print(f"{REGISTERS} registers a second for {seconds:.0f} s, beside collectd ...", flush=True)
    figures.update(measure_all(seconds))
    print("the link: drains, bytes, latency ...", flush=True)
    figures.update(measure_link())
    result = build.parent / "bench.json"
    result.write_text(json.dumps(figures, indent=2) + "\n")
    for name, entry in figures.items():
        print(f"{name:34} {entry['value']:>12} {entry['unit']:14} against {entry['against']:>12}  ratio {entry['ratio']}")
    print(f"written to {result}")


if __name__ == "__main__":
    main()
