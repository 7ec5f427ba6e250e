"""The decoder, against messages built by hand from docs/batch.md and against the vectors in tests/data/batch."""

import json
import pathlib

import forebay_batch as fb
import pytest
from cases import AT_LIMITS, NEWER, WRONG
from handmade import (
    COLUMNS, READINGS, STORE, T0, as_json, batch, cbor, distances, frame, numbers, raw_frame, texts,
)  # fmt: skip

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "data" / "batch"


def test_a_batch_made_by_hand():
    decoded = fb.decode_batch(batch(COLUMNS, 8))
    assert decoded.readings == READINGS
    assert (decoded.gateway, decoded.store, decoded.number, decoded.clock) == ("plant-north", STORE, 2, 2)


def test_a_batch_of_losses_alone():
    losses = [[1, 500, T0, T0 + 9, 1, 1], [3, 0, T0, T0, 0, 0]]
    assert fb.decode_batch(batch(_9=losses)).losses == [fb.Loss(*one) for one in losses]


def test_a_frame_with_the_largest_window():
    assert fb.decode_batch(raw_frame(fb.unpack(batch(COLUMNS, 8)), 0x68)).readings == READINGS


def test_integers_wrap():
    values = [2**63 - 1, -(2**63), 0, -(2**63)]
    for shape in (0, 56, 128, 128 + 7):
        data = numbers(2, shape, distances(values, shape > 127))
        assert [one.value for one in fb.decode_batch(data).readings] == values


def test_a_catalogue():
    tags = [[1, "a", "flow", "m³/h", 0], [9, "b", "on", "", 3]]
    decoded = fb.decode_catalogue(frame(cbor({0: 1, 1: "catalogue", 2: "p", 3: STORE, 4: 3, 5: T0, 6: tags})))
    kinds = ("real64", "boolean")
    assert decoded.tags == [fb.CatalogueTag(*tag[:4], kind) for tag, kind in zip(tags, kinds)]


@pytest.mark.parametrize("what", WRONG)
def test_what_breaks_a_rule_is_refused(what):
    with pytest.raises(fb.Invalid):
        fb.decode(WRONG[what])


@pytest.mark.parametrize("what", NEWER)
def test_a_newer_version_is_told_apart(what):
    with pytest.raises(fb.Invalid, match="newer"):
        fb.decode(NEWER[what])


@pytest.mark.parametrize("what", AT_LIMITS)
def test_what_is_just_within_the_limits_is_taken(what):
    fb.decode(AT_LIMITS[what])


def test_a_batch_of_corrections_alone():
    corrections = [[1, 2, 0, 9, T0], [2, 2, 5, 5, fb.TIME_MAX_MS]]
    assert fb.decode_batch(batch(_12=corrections)).corrections == [fb.Correction(*one) for one in corrections]


def test_a_correction_of_another_store():
    elsewhere = [5, 700, 0, 9, T0, b"another store id"]
    assert fb.decode_batch(batch(_12=[elsewhere])).corrections == [fb.Correction(*elsewhere)]


def test_texts_made_by_hand():
    decoded = fb.decode_batch(texts(4, ["ä", ""], [(0, 1), (1, 2), (0, 1)]))
    assert [one.value for one in decoded.readings] == ["ä", "", "", "ä"]


def vector_of(path):
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_there_are_vectors_of_both_messages():
    messages = {vector_of(path)[1]["message"] for path in VECTORS.glob("*.bin")}
    assert messages == {"batch", "catalogue"}


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.bin")), ids=lambda path: path.stem)
def test_vectors(path):
    """The gateway's own encoder made these files and says what they hold."""
    data, wanted = vector_of(path)
    assert as_json(data) == wanted
