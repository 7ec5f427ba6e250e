"""The plants that the scenarios poll: for each the simulator's description, the configuration, and the tags."""

from compare import Tag
from simulator import block

# Far more than any reply takes: on a busy machine our simulators, too, are late now and then, and only tests of
# time-outs want to see that.
TIMEOUT = "2s"

# Type and word order of each value of an instrument, from address 0 on; a mixture of everything.
MIXTURE = [
    ("float32", "abcd"), ("float32", "cdab"), ("float32", "badc"), ("float32", "dcba"), ("float64", "abcd"),
    ("float64", "dcba"), ("int32", "cdab"), ("uint32", "badc"), ("int64", "abcd"), ("uint64", "cdab"),
    ("int16", "abcd"), ("uint16", "abcd"),
]  # fmt: skip
WIDTHS = {"float32": 2, "float64": 4, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4, "int16": 1, "uint16": 1}


def mixture_blocks():
    """All types and orders in the holding table, a sequence in the input table, bits in both bit tables."""
    blocks, address = [], 0
    for i, (kind, order) in enumerate(MIXTURE):
        wave = {"base": 1000 * i, "swing": 500, "noise": 20, "step": 0.5, "period": 40}
        blocks.append(block("holding", address, kind, "sine", order=order, **wave))
        address += WIDTHS[kind]
    blocks.append(block("input", 100, "uint32", "sequence", count=4))
    blocks.append(block("discrete", 20, "bit", "blink", count=12, step=1.5))
    blocks.append(block("coil", 0, "bit", "blink", count=3, step=0.7))
    return blocks


def mixture_tags(bus, unit):
    """{name: Tag} for what mixture_blocks() holds."""
    tags, address = {}, 0
    for i, (kind, order) in enumerate(MIXTURE):
        tags[f"{kind}-{order}-{i}"] = Tag(bus, unit, "holding", address, kind, order)
        address += WIDTHS[kind]
    address -= 2  # the two 16-bit values again, scaled
    tags["scaled"] = Tag(bus, unit, "holding", address, "int16", scale="0.01")
    tags["shifted"] = Tag(bus, unit, "holding", address + 1, "uint16", scale="0.5", offset="-12.25")
    for i in range(4):
        tags[f"sequence-{i}"] = Tag(bus, unit, "input", 100 + 2 * i, "uint32")
    for i in (0, 5, 11):
        tags[f"discrete-{i}"] = Tag(bus, unit, "discrete", 20 + i, "bit")
    tags["coil-2"] = Tag(bus, unit, "coil", 2, "bit")
    return tags


def sequence_blocks(count):
    """count registers, each the number of times it was read."""
    return [block("holding", 0, "uint16", "sequence", count=count)]


def sequence_tags(bus, unit, count):
    return {f"r{address}": Tag(bus, unit, "holding", address, "uint16") for address in range(count)}


def instrument_part(name, bus, unit, tags, interval="1s", **more):
    """An instrument of the configuration that reads the tags."""
    entries = []
    for tag_name, tag in tags.items():
        entry = {"name": tag_name, "table": tag.table, "address": tag.address, "type": tag.type}
        if tag.width > 1:
            entry["word_order"] = tag.order
        for word in ("scale", "offset"):
            if getattr(tag, word) != {"scale": "1", "offset": "0"}[word]:
                entry[word] = getattr(tag, word)
        entries.append(entry)
    head = {"name": name, "bus": bus, "unit": unit, "addresses": "base-0", "interval": interval}
    return {**head, **more, "tags": entries}


def tcp_part(name, port, timeout=TIMEOUT):
    return {"name": name, "kind": "modbus-tcp", "host": "127.0.0.1", "port": port, "timeout": timeout}


def rtu_part(name, device, baud=115200, timeout=TIMEOUT):
    # No parity: a pseudo terminal has none, and Debian's tcsetattr() refuses it once nothing else is to be changed.
    return {
        "name": name, "kind": "modbus-rtu", "device": device, "baud": baud, "parity": "none", "stop_bits": 2,
        "timeout": timeout,
    }  # fmt: skip


def rtu_tcp_part(name, port, baud=115200, timeout=TIMEOUT):
    return {
        "name": name, "kind": "modbus-rtu-tcp", "host": "127.0.0.1", "port": port, "baud": baud, "timeout": timeout,
    }  # fmt: skip


def named(instrument, tags):
    """The tags under the names that the receiver knows."""
    return {(instrument, name): tag for name, tag in tags.items()}


class MixedPlant:
    """Two TCP endpoints and one RTU line with three units, every type and word order."""

    def __init__(self, folder):
        blocks = mixture_blocks()
        self.description = {
            "seed": 42,
            "tcp": [{"name": name, "units": [{"unit": 1, "blocks": blocks}]} for name in ("hall-1", "hall-2")],
            "rtu": [{
                "name": "line-1", "link": str(folder / "tty"), "baud": 115200,
                "units": [{"unit": unit, "blocks": blocks} for unit in (7, 8, 9)],
            }],
        }  # fmt: skip
        places = {"a": ("hall-1", 1), "b": ("hall-2", 1), "c": ("line-1", 7), "d": ("line-1", 8), "e": ("line-1", 9)}
        self.instruments = {name: (bus, unit, mixture_tags(bus, unit)) for name, (bus, unit) in places.items()}
        self.tags = {}
        for name, (_, _, tags) in self.instruments.items():
            self.tags.update(named(name, tags))

    def configuration(self, where):
        """where: Simulator.where."""
        return {
            "buses": [
                tcp_part("hall-1", where["hall-1"]), tcp_part("hall-2", where["hall-2"]),
                rtu_part("line-1", where["line-1"]),
            ],
            "instruments": [instrument_part(name, *parts) for name, parts in self.instruments.items()],
        }  # fmt: skip


class SequencePlant:
    """One TCP endpoint with count registers polled every second, each counting how often it was read."""

    def __init__(self, count):
        self.description = {"tcp": [{"name": "hall-1", "units": [{"unit": 1, "blocks": sequence_blocks(count)}]}]}
        self.instrument_tags = sequence_tags("hall-1", 1, count)
        self.tags = named("counters", self.instrument_tags)

    def configuration(self, where):
        return {
            "buses": [tcp_part("hall-1", where["hall-1"])],
            "instruments": [instrument_part("counters", "hall-1", 1, self.instrument_tags)],
        }
