"""The decoders in C, Python and JavaScript, held against each other: the same content from the vectors, and from
thousands of damaged messages either the same content or three refusals. ROUNDS=20000 for a long campaign."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import at_random
import forebay_batch as fb
import pytest
import zstandard
from cases import AT_LIMITS, FRAMES, NEWER, OF_ZSTD, SOUND, WRONG
from handmade import COLUMNS, READINGS, as_json, batch, distances, frame, numbers, raw_frame, texts

TOP = pathlib.Path(__file__).resolve().parents[2]
VECTORS = TOP / "tests" / "data" / "batch"
ROUNDS = int(os.environ.get("ROUNDS", "1500"))
SHOW = TOP / "build" / os.environ.get("V", "release") / "tests" / "test_batch_vectors"
NODE = shutil.which("node")
LARGE = 4096  # bytes of content; a larger one is damaged less often, as all three take their time with it


@pytest.fixture(scope="session")
def in_c():
    """Says for each file what the library makes of it."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    version = f"V={SHOW.parents[1].name}"
    subprocess.run(["make", "-s", version, str(SHOW.relative_to(TOP))], cwd=TOP, env=environment, check=True)

    def show(paths):
        lines = []
        for at in range(0, len(paths), 500):
            command = [SHOW, "show", *paths[at : at + 500]]
            lines += subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.PIPE).stdout.splitlines()
        return [json.loads(line) for line in lines]

    return show


def in_javascript(folder):
    assert NODE, "node is missing: tests/setup.sh installs it"
    script = TOP / "tests" / "decoder" / "show.js"
    lines = subprocess.run([NODE, script, folder], check=True, stdout=subprocess.PIPE).stdout.splitlines()
    return [json.loads(line) for line in lines]


def in_python(data):
    try:
        return as_json(data)
    except fb.Invalid as error:
        return {"refused": str(error)}


def content_of(data):
    """What zstd alone says: no limit of ours but room for what the frame promises. None when it refuses."""
    try:
        if not 0 < zstandard.get_frame_parameters(data).content_size <= 2 * fb.CONTENT_BYTES_MAX:
            return None
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        return None


def compare(messages, folder, in_c):
    """How many of the messages all three took."""
    paths = []
    for number, data in enumerate(messages):
        paths.append(folder / f"{number:06}.bin")
        paths[-1].write_bytes(data)
        content = content_of(data)
        if content is not None:
            paths[-1].with_suffix(".content").write_bytes(content)
    taken = 0
    for path, data, of_c, of_javascript in zip(paths, messages, in_c(paths), in_javascript(folder), strict=True):
        of_python = in_python(data)
        if all("refused" in one for one in (of_c, of_python, of_javascript)):
            continue
        told = f"{path}\nC: {of_c}\nPython: {of_python}\nJavaScript: {of_javascript}"
        assert of_c == of_python == of_javascript, told[:4000]
        taken += 1
    return taken


def damaged(chance, data):
    """Some bytes changed, taken out, put in or repeated; never none."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data))
        kind = chance.randrange(5)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 2, 4, 16, 28, 44, 64, 127, 128, 255))
        elif kind == 2:
            del data[at : at + chance.randrange(1, 4)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 4))
        else:
            other = chance.randrange(len(data))
            data[at : at + 4] = data[other : other + 4]
        if not data:
            return bytes([at & 255])
    return bytes(data)


def vectors():
    return [path.read_bytes() for path in sorted(VECTORS.glob("*.bin"))]


def column_strings():
    """Columns to damage, with how many readings they hold: the envelope around them stays sound."""
    strings = [(COLUMNS, len(READINGS))]
    for data in vectors():
        decoded, content = fb.decode(data), fb.unpack(data)
        if isinstance(decoded, fb.Batch) and decoded.readings and len(content) <= LARGE:
            strings.append((columns_of(content), len(decoded.readings)))
    return strings


def columns_of(content):
    """The byte string of key 11, found by where it must end: at the end, or before the corrections."""
    for at in range(len(content)):
        cbor = fb.Cbor(content)
        cbor.at = at
        try:
            cbor.key(11)
            columns = cbor.string()
        except fb.Invalid:
            continue
        if cbor.at == len(content) or content[cbor.at] == 12:
            return columns
    raise AssertionError("no columns")


def test_all_take_the_vectors_alike(tmp_path, in_c):
    assert compare(vectors(), tmp_path, in_c) == len(vectors())


def test_all_refuse_what_breaks_a_rule(tmp_path, in_c):
    assert compare(list(WRONG.values()), tmp_path, in_c) == 0


def test_javascript_looks_at_the_frame_itself(tmp_path):
    """A decompressor that takes whatever it is given changes nothing."""
    frames = [data for what, data in FRAMES.items() if what not in OF_ZSTD]
    for number, data in enumerate(frames):
        (tmp_path / f"{number:06}.bin").write_bytes(data)
        (tmp_path / f"{number:06}.content").write_bytes(SOUND)
    assert all("refused" in one for one in in_javascript(tmp_path))


def test_all_tell_a_newer_version_apart(tmp_path, in_c):
    assert compare(list(NEWER.values()), tmp_path, in_c) == 0
    reasons = [*in_c(sorted(tmp_path.glob("*.bin"))), *in_javascript(tmp_path), *map(in_python, NEWER.values())]
    for reason in reasons:
        assert "newer" in reason["refused"] or "this Forebay reads version 1" in reason["refused"]


def test_all_take_what_is_just_within_the_limits(tmp_path, in_c):
    assert compare(list(AT_LIMITS.values()), tmp_path, in_c) == len(AT_LIMITS)


def test_all_agree_on_damaged_frames(tmp_path, in_c):
    chance = random.Random(1)
    good = vectors()
    # Without a checksum, damage within the frame is left to the rules.
    good += [zstandard.ZstdCompressor(write_checksum=False).compress(fb.unpack(data)) for data in good]
    good += [raw_frame(fb.unpack(data), 0x68) for data in vectors() if len(data) <= LARGE]
    compare([damaged(chance, chance.choice(good)) for _ in range(ROUNDS)], tmp_path, in_c)


def test_all_agree_on_damaged_content(tmp_path, in_c):
    chance = random.Random(2)
    good = [fb.unpack(data) for data in vectors()]
    small = [content for content in good if len(content) <= LARGE]
    messages = [frame(damaged(chance, chance.choice(small))) for _ in range(ROUNDS)]
    messages += [frame(damaged(chance, chance.choice(good))) for _ in range(ROUNDS // 100)]
    assert compare(messages, tmp_path, in_c) > 0


def test_all_agree_on_damaged_columns(tmp_path, in_c):
    chance = random.Random(3)
    strings = column_strings()
    messages = []
    for _ in range(ROUNDS):
        columns, readings = chance.choice(strings)
        messages.append(batch(damaged(chance, columns), readings + chance.choice((0, 0, 0, 1, -1))))
    assert compare(messages, tmp_path, in_c) > ROUNDS // 20


def test_all_agree_on_texts_at_random(tmp_path, in_c):
    chance = random.Random(4)
    sound = ["", "on", "off", "m³/h", "🌊", "x" * 63]
    words = [*sound, "x" * 64, b"\xc2", b"\xc2\x85", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xed\xa0\x80"]
    messages = []
    for _ in range(ROUNDS):
        dictionary = chance.sample(sound if chance.random() < 0.8 else words, chance.randrange(1, 4))
        indexes = [*range(len(dictionary)), *(chance.randrange(len(dictionary)) for _ in range(chance.randrange(3)))]
        if chance.random() < 0.2:
            chance.shuffle(indexes)
        runs = [(index, chance.randrange(1, 4)) for index in indexes]
        total = sum(length for _, length in runs) + (chance.random() < 0.1)
        messages.append(texts(total, dictionary, runs))
    assert compare(messages, tmp_path, in_c) > ROUNDS // 2


def test_all_agree_on_columns_at_random(tmp_path, in_c):
    chance = random.Random(6)
    messages = [batch(*at_random.columns(chance)) for _ in range(ROUNDS)]
    assert compare(messages, tmp_path, in_c) > ROUNDS // 2


def test_all_agree_on_envelopes_at_random(tmp_path, in_c):
    chance = random.Random(7)
    messages = [batch(**at_random.envelope(chance)) for _ in range(ROUNDS)]
    assert compare(messages, tmp_path, in_c) > ROUNDS // 20


def number_at_random(chance, encoding):
    if encoding == 3:
        return chance.choice((0, 1, 1, 0, 1, 2) if chance.random() < 0.1 else (0, 1))
    bits = 64 if encoding in (0, 2) else 32 if encoding == 1 else 54
    edges = (0, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 2**62, 2**52 - 1)
    return chance.choice(edges) if chance.random() < 0.05 else chance.randrange(-(2**20), 2**20)


def test_all_agree_on_numbers_at_random(tmp_path, in_c):
    chance = random.Random(5)
    messages = []
    for _ in range(ROUNDS):
        encoding = chance.choice((0, 1, 2, 2, 3, 16, 18, 28, 32, 34, 44, 5, 29) if chance.random() < 0.1 else (0, 1, 2, 3, 18, 34))
        shape = chance.choice((0, 1, 7, 8, 13, 20, 31, 56, 57, 127) if chance.random() < 0.1 else range(57))
        shape |= chance.choice((0, 128))
        values = [number_at_random(chance, encoding) for _ in range(chance.randrange(1, 20))]
        data = numbers(encoding, shape, distances(values, shape > 127), chance.choice((b"", b"", b"", b"", b"\0")))
        messages.append(data)
    assert compare(messages, tmp_path, in_c) > ROUNDS // 2
