"""Measures Forebay against physical limits and peers on this machine and writes build/bench.json:
{name: {value, unit, against, ratio}}. Usage: bench.py BUILD_FOLDER [SECONDS]

all.cpu_share, all.pss_mb   all Forebay programs together (nginx aside) while 1000 registers of one Modbus TCP server are polled
                            every second, stored durably and forwarded to RabbitMQ 4; against: collectd's modbus plugin polling the
                            same server in the same run
all.*.100x20                the same with 100 servers of 20 registers each; against: collectd, and under .node-red Node-RED with
                            contrib-modbus, in the same run (peers.py says how)
fleet.*                     how many gateways one RabbitMQ 4 holds, and what a link costs, see fleet_size.py
field.on_time.*             share of readings in time while others are dead (on_time.py); against: the aim
field.*_per_sweep           requests and bytes of a sweep over scattered registers (sweep.py); against: the optimum
field.requests_per_s        of the driver over one connection; against: a bare libmodbus loop (bench_field)
link.*                      the link, see bench_link.py
store.*                     what a reading costs in the store; against: the entropy of the data, rows of SQLCipher, and under
                            .sqlite_rows those of plain SQLite (bench_store, where each is explained)
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "sim"), str(HERE.parent / "decoder")]

import processes
from figures import figure

WARM_UP_S = 15  # the first batches, the link and the allocators settle
FOREBAY = {"forebay-run", "forebay-core", "forebay-field", "forebay-cloud"}


def measure_all(endpoints, registers, seconds, peers):
    """Polls, stores and forwards beside the peers: {name: a context of its process}. Returns processor time in percent of one
    core and memory in MB, of Forebay under "forebay" and of each peer under its name."""
    import bench_world

    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forebay-bench-")))
        world = stack.enter_context(bench_world.World(scratch, endpoints, registers))
        pids = {name: [stack.enter_context(run(scratch / name, world.ports, registers))] for name, run in peers.items()}
        time.sleep(WARM_UP_S)
        pids["forebay"] = [pid for pid in processes.below(world.gateway_pid) if processes.name_of(pid) in FOREBAY]
        begun, before = time.monotonic(), {name: processes.cpu_s(some) for name, some in pids.items()}
        time.sleep(seconds)
        passed = time.monotonic() - begun
        cpu = {name: 100 * (processes.cpu_s(some) - before[name]) / passed for name, some in pids.items()}
        memory = {name: processes.memory_mb(some) for name, some in pids.items()}
        by_program = {}
        for pid in pids["forebay"]:
            by_program.setdefault(processes.name_of(pid), []).append(processes.memory_mb([pid]))
        world.check()
    for name, each in by_program.items():
        print(f"  {name}: {len(each)} with {sum(each):.2f} MB PSS in all, {max(each):.2f} the largest")
    return cpu, memory


def figures_of_all(suffix, cpu, memory):
    """Against collectd under the plain name, against each other peer under its name."""
    figures = {}
    for peer in cpu:
        if peer != "forebay":
            end = suffix if peer == "collectd" else f"{suffix}.{peer}"
            figures[f"all.cpu_share{end}"] = figure(cpu["forebay"], "% of one core", cpu[peer])
            figures[f"all.pss_mb{end}"] = figure(memory["forebay"], "MB", memory[peer])
    return figures


def measure_python(seconds):
    """What takes a whole gateway."""
    import on_time
    import peers
    import sweep

    print("sweep over scattered registers ...", flush=True)
    figures = sweep.measure()
    print(f"punctuality for {seconds:.0f} s, others dead ...", flush=True)
    figures.update(on_time.measure(seconds))
    print(f"1 x 1000 registers a second for {seconds:.0f} s, beside collectd ...", flush=True)
    figures.update(figures_of_all("", *measure_all(1, 1000, seconds, {"collectd": peers.collectd})))
    print(f"100 x 20 registers a second for {seconds:.0f} s, beside collectd and Node-RED ...", flush=True)
    both = {"collectd": peers.collectd, "node-red": peers.node_red}
    figures.update(figures_of_all(".100x20", *measure_all(100, 20, seconds, both)))
    return figures


def measure_link():
    import bench_link

    return bench_link.measure()


def measure_fleet():
    import fleet_size

    return fleet_size.measure()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    os.environ["V"] = build.name
    figures = {}
    for program in sorted((build / "tests").glob("bench_*")):
        if os.access(program, os.X_OK) and program.is_file():
            print(f"{program.name} ...", flush=True)
            figures.update(json.loads(subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout))
    figures.update(measure_python(seconds))
    print("the link: drains, bytes, latency ...", flush=True)
    figures.update(measure_link())
    print("gateways' links to one broker, more and more ...", flush=True)
    figures.update(measure_fleet())
    result = build.parent / "bench.json"
    result.write_text(json.dumps(figures, indent=2) + "\n")
    for name, entry in figures.items():
        print(f"{name:36} {entry['value']:>12} {entry['unit']:14} against {entry['against']:>12}  ratio {entry['ratio']}")
    print(f"written to {result}")


if __name__ == "__main__":
    main()
