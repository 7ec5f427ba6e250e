"""`forebay trace`: the frames of a bus as Wireshark's own dissector reads them."""

import json
import shutil
import subprocess
import time

import pytest
from gateway import Gateway
from plants import rtu_part, tcp_part
from simulator import Simulator, block

TSHARK = shutil.which("tshark")
BLOCKS = [block("holding", 10, "float32", "sequence", count=3)]
TAGS = [
    {"name": f"t{i}", "address": 10 + 2 * i, "type": "float32", "word_order": "abcd", "interval": "200ms"}
    for i in range(3)
]


def dissect(file, *fields):
    """[{field: value}] of all frames, by tshark; a malformed frame fails."""
    words = [word for field in ("_ws.malformed", "frame.time_epoch", *fields) for word in ("-e", field)]
    done = subprocess.run(
        [TSHARK, "-r", file, "-T", "json", *words], capture_output=True, text=True, timeout=60, check=True
    )
    frames = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    assert not any("_ws.malformed" in frame for frame in frames)
    return [{field: frame.get(field, [None])[0] for field in ("frame.time_epoch", *fields)} for frame in frames]


@pytest.mark.skipif(TSHARK is None, reason="needs tshark")
def test_wireshark_reads_what_the_gateway_recorded(tmp_path):
    description = {
        "seed": 1,
        "tcp": [{"name": "net", "units": [{"unit": 7, "blocks": BLOCKS}]}],
        "rtu": [{"name": "line", "link": str(tmp_path / "tty"), "baud": 19200, "units": [{"unit": 9, "blocks": BLOCKS}]}],
    }
    with Simulator(tmp_path / "sim", description) as simulator:
        configuration = {
            "buses": [tcp_part("net", simulator.where["net"]), rtu_part("line", simulator.where["line"])],
            "instruments": [
                {"name": "one", "bus": "net", "unit": 7, "addresses": "base-0", "tags": TAGS},
                {"name": "two", "bus": "line", "unit": 9, "addresses": "base-0", "tags": TAGS},
            ],
        }
        with Gateway(tmp_path / "gateway", configuration).start() as gateway:
            gateway.wait_for_status(lambda now: all(bus["requests"] > 10 for bus in now["buses"]), 20, "frames to see")
            for bus, layer, unit, prefix in (("net", "mbtcp", "7", "mbtcp"), ("line", "mbrtu", "9", "mbrtu")):
                file = str(tmp_path / f"{bus}.pcapng")
                gateway.command("trace", bus, "-o", file, "-c", str(gateway.file))
                traced_s = time.time()
                frames = dissect(file, f"{prefix}.unit_id", "modbus.func_code", "modbus.word_cnt", "modbus.byte_cnt")
                assert len(frames) >= 10, layer
                assert {frame[f"{prefix}.unit_id"] for frame in frames} == {unit}
                assert {frame["modbus.func_code"] for frame in frames} == {"3"}
                assert [frame["modbus.word_cnt"] for frame in frames[::2]] == ["6"] * len(frames[::2])
                assert [frame["modbus.byte_cnt"] for frame in frames[1::2]] == ["12"] * len(frames[1::2])
                times = [float(frame["frame.time_epoch"]) for frame in frames]
                assert times == sorted(times) and abs(times[-1] - traced_s) < 10
            unknown = gateway.command("trace", "nobody", "-o", file, "-c", str(gateway.file), code=1)
            assert "nobody is no bus" in unknown
            gateway.stop()
            stopped = gateway.command("trace", "net", "-o", file, "-c", str(gateway.file), code=1)
            assert "no gateway is running" in stopped
