"""forebay_senml.py against the examples of RFC 8428, section 5.1, and against packs that break its rules."""

import json

import pytest
from forebay_senml import Batches, Invalid, resolve

NOW_S = 1.3e9


def test_a_single_value():
    pack = json.loads('[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]')
    assert resolve(pack, NOW_S) == [{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1, "t": NOW_S}]


def test_several_values_with_a_base_name():
    pack = json.loads("""[
      {"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},
      {"n":"current","u":"A","v":1.2}]""")
    assert [(one["n"][-8:], one["u"], one["v"]) for one in resolve(pack)] == [
        (":voltage", "V", 120.1), (":current", "A", 1.2),
    ]  # fmt: skip


def test_base_time_and_base_unit():
    pack = json.loads("""[
      {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
      {"n":"current","t":-5,"v":1.2},
      {"n":"current","t":-4,"v":1.3},
      {"n":"current","v":1.7}]""")
    assert [(one["u"], one["t"], one["v"]) for one in resolve(pack)] == [
        ("V", 1276020076.001, 120.1), ("A", 1276020071.001, 1.2), ("A", 1276020072.001, 1.3), ("A", 1276020076.001, 1.7),
    ]  # fmt: skip


def test_a_sum_without_a_value_and_a_value_of_text():
    pack = json.loads("""[
      {"bn":"urn:dev:ow:10e2073a01080063:","bt":1.320067464e+09,"bu":"%RH","v":20},
      {"n":"lon","u":"lon","t":60,"v":24.30621},
      {"n":"sum","t":60,"s":7.5},
      {"n":"label","vs":"Machine Room"},
      {"n":"open","vb":false},
      {"n":"nfc","vd":"aGkgCg"}]""")
    found = resolve(pack)
    assert (found[0]["u"], found[2]["s"], found[3]["vs"], found[4]["vb"]) == ("%RH", 7.5, "Machine Room", False)


def test_times_below_2_to_the_28_count_from_now():
    pack = json.loads('[{"bn":"a","bt":-60,"v":1},{"t":30,"v":2}]')
    assert [one["t"] for one in resolve(pack, NOW_S)] == [NOW_S - 60, NOW_S - 30]


def test_base_value_and_base_sum_are_added():
    assert resolve([{"n": "a", "bv": 10, "bs": 3, "v": 1, "s": 2}])[0]["v"] == 11
    assert resolve([{"n": "a", "bv": 10, "bs": 3, "v": 1, "s": 2}])[0]["s"] == 5


@pytest.mark.parametrize(
    "pack",
    [
        [], {}, [1], [{"n": "a"}], [{"v": 1}], [{"n": "-a", "v": 1}], [{"n": "a b", "v": 1}], [{"n": "a", "v": "1"}],
        [{"n": "a", "v": True}], [{"n": "a", "vb": 1}], [{"n": "a", "v": 1, "vs": ""}], [{"n": "a", "vs": 1}],
        [{"n": "a", "v": float("nan")}], [{"n": "a", "v": 1, "strange_": 1}], [{"n": "a", "v": 1, "bver": 11}],
        [{"n": "a", "v": 1, "bver": 5}, {"n": "a", "v": 1, "bver": 6}], [{"n": "a", "vd": "a="}], [{"n": 1, "v": 1}],
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused(pack):
    with pytest.raises(Invalid):
        resolve(pack)


def test_unknown_labels_are_passed_over():
    assert resolve([{"n": "a", "v": 1, "strange": {"b": 2}}])[0]["v"] == 1


def pack_of(number, place, last=False, value=1):
    head = {"bn": "w/", "bt": 1795293190, "store": "00", "batch": number, "pack": place}
    return [{**head, "last": True} if last else head, {"n": "i/t", "t": place, "v": value}]


def test_batches_are_whole_when_every_pack_has_come_in_any_order_and_repeats_are_dropped():
    batches = Batches()
    batches.add(pack_of(7, 2, last=True))
    assert batches.whole() == []
    batches.add(pack_of(7, 1))
    batches.add(pack_of(7, 1))
    assert batches.repeats == 1 and [record["t"] for record in batches.whole()[0].records()] == [1795293191, 1795293192]
    with pytest.raises(Invalid):
        batches.add(pack_of(7, 1, value=2))


def test_a_batch_that_is_cut_anew_begins_anew():
    batches = Batches()
    batches.add(pack_of(7, 1))
    batches.add(pack_of(7, 1, value=2))
    assert batches.whole() == []
    batches.add(pack_of(7, 2, last=True))
    assert [record["v"] for record in batches.whole()[0].records()] == [2, 1]
