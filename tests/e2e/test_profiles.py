"""`forebay profiles`: what models are known, what of each is proven, and a plant's own beside them."""

import re
import subprocess

import pytest
from common import TOP, program

MODELS = {path.stem for path in (TOP / "drivers" / "profiles").glob("*.yaml")}
OWN = """about: {model: Tank 7, maker: the plant, manual: drawing 12}
addresses: 4xxxx
interval: 10s
tags:
  - {name: level, address: 40011, type: float32, word_order: cdab, unit: m, source: sheet 3}
  - {name: spare, address: 40013, type: uint16, unproven: true}
"""


def profiles(folder, *words, code=0):
    """What the command prints, for a configuration in the folder."""
    command = [program("forebay"), "profiles", "-c", folder / "forebay.yaml", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def test_every_model_is_listed_with_its_maker(tmp_path):
    shown = {line.split()[0]: line for line in profiles(tmp_path).splitlines()}
    assert set(shown) == MODELS
    for name in ("hach-sc100", "hach-sc200", "hach-sc4500", "hach-surface-scatter-7-sc", "hach-3400-sc", "hach-uvas-sc"):
        assert "Hach" in shown[name]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_tag_has_its_source_or_is_unproven(tmp_path, name):
    head, _, table = profiles(tmp_path, name).partition("\n\n")
    assert "manual" in head
    rows = table.splitlines()
    assert rows[0].split()[0] == "tag" and len(rows) > 1
    column = rows[0].index("source")
    assert all(len(row) > column and row[column:].strip() for row in rows[1:]), rows


def test_a_plants_own_profile_stands_beside_them_and_wrong_ones_are_told(tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "tank.yaml").write_text(OWN, encoding="utf-8")
    assert {line.split()[0] for line in profiles(tmp_path).splitlines()} == MODELS | {"tank"}
    shown = profiles(tmp_path, "tank")
    assert re.search(r"level +m +float32 +40011 +holding 10 .*sheet 3", shown), shown
    assert re.search(r"spare .*40013 +holding 12 .*UNPROVEN", shown), shown
    (folder / "tank.yaml").write_text(OWN.replace(", source: sheet 3", ""), encoding="utf-8")
    assert "tank.yaml:5:" in profiles(tmp_path, "tank", code=1)
    assert "nothing" in profiles(tmp_path, "nothing", code=1)
