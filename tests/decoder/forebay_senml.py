"""forebay_senml.py - takes SenML (RFC 8428, JSON) apart: any pack that keeps to the RFC, and Forebay's (docs/senml.md).
Written from those pages alone. No dependencies.

    resolve(pack)   the records of a pack, each complete: base values applied, absolute times
    Batches()       Forebay's packs, put together again to batches, repeats removed
"""

import dataclasses
import math
import re
import time

# RFC 8428, 4.3, table 1 and 12.2: label, types it may have.
NUMBER, TEXT, BOOL = (int, float), (str,), (bool,)
BASE = {"bn": TEXT, "bt": NUMBER, "bu": TEXT, "bv": NUMBER, "bs": NUMBER, "bver": (int,)}
OWN = {"n": TEXT, "u": TEXT, "v": NUMBER, "vs": TEXT, "vb": BOOL, "vd": TEXT, "s": NUMBER, "t": NUMBER, "ut": NUMBER}
VALUES = ("v", "vs", "vb", "vd")
VERSION = 10
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
DATA = re.compile(r"[A-Za-z0-9\-_]*")
ABSOLUTE = 2**28  # times below count from now on
# What Forebay says beside, and receivers must understand.
UNDERSTOOD = ("quality_",)


class Invalid(ValueError):
    """The pack breaks a rule of RFC 8428."""


def check(condition, what):
    if not condition:
        raise Invalid(what)


def check_types(record):
    for label, value in record.items():
        kinds = BASE.get(label) or OWN.get(label)
        if kinds is None:
            check(not label.endswith("_") or label in UNDERSTOOD, f"{label} must be understood and is not")
            continue
        right = isinstance(value, kinds) and isinstance(value, bool) == (kinds is BOOL)
        check(right and not (isinstance(value, float) and not math.isfinite(value)), f"{label}: {value!r}")


def resolve_one(record, base, now_s):
    """The complete record, or None when it holds base values alone."""
    own = {label: value for label, value in record.items() if label not in BASE}
    if not any(label in OWN for label in own):
        return None
    done = {label: value for label, value in own.items() if label not in OWN}
    done["n"] = base.get("bn", "") + own.get("n", "")
    check(NAME.fullmatch(done["n"]), f"name {done['n']!r}")
    values = [label for label in VALUES if label in own]
    check(len(values) <= 1, f"{done['n']}: two values")
    if values:
        done[values[0]] = own[values[0]]
    elif "bv" in base:
        done["v"] = 0
    if "v" in done:
        done["v"] += base.get("bv", 0)
    if "s" in own or "bs" in base:
        done["s"] = own.get("s", 0) + base.get("bs", 0)
    check(values or "v" in done or "s" in done, f"{done['n']}: neither value nor sum")
    check("vd" not in done or DATA.fullmatch(done["vd"]), f"{done['n']}: vd is not base64url")
    unit = own.get("u", base.get("bu"))
    if unit is not None:
        done["u"] = unit
    if "ut" in own:
        done["ut"] = own["ut"]
    moment = base.get("bt", 0) + own.get("t", 0)
    done["t"] = moment if moment >= ABSOLUTE else now_s + moment
    return done


def resolve(pack, now_s=None):
    """RFC 8428, 4.6. pack: what json.loads() gives. Not put in order of time."""
    check(isinstance(pack, list) and pack, "not an array of records")
    now_s = time.time() if now_s is None else now_s
    base, records, version = {}, [], None
    for record in pack:
        check(isinstance(record, dict), "a record is not an object")
        check_types(record)
        base.update({label: value for label, value in record.items() if label in BASE})
        check(base.get("bver", VERSION) <= VERSION, "made by a newer version")
        check(version in (None, base.get("bver")), "two versions in a pack")
        version = base.get("bver")
        done = resolve_one(record, base, now_s)
        if done is not None:
            records.append(done)
    return records


@dataclasses.dataclass
class Batch:
    """A batch as its packs came. last: number of the last pack, once it has come."""

    store: str
    number: int
    packs: dict = dataclasses.field(default_factory=dict)
    last: int = 0

    def is_whole(self):
        return self.last > 0 and len(self.packs) == self.last

    def records(self):
        return [record for number in sorted(self.packs) for record in resolve(self.packs[number])]


class Batches:
    """By (store, number). A pack that comes again is dropped. A batch that is cut anew before it was whole begins anew."""

    def __init__(self):
        self.batches = {}
        self.repeats = 0

    def add(self, pack):
        resolve(pack)
        head = pack[0]
        key = head["store"], head["batch"]
        batch = self.batches.setdefault(key, Batch(*key))
        known = batch.packs.get(head["pack"])
        self.repeats += known is not None
        if batch.is_whole():
            check(known == pack, f"pack {head['pack']} of batch {key} came with other content")
            return batch
        if known not in (None, pack):
            batch.packs, batch.last = {}, 0
        batch.packs[head["pack"]] = pack
        if head.get("last"):
            batch.last = head["pack"]
        return batch

    def whole(self):
        return [batch for _, batch in sorted(self.batches.items()) if batch.is_whole()]
