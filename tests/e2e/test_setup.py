"""tests/setup.sh installs what it was asked for, and nothing for a word that it does not know."""

import subprocess

import pytest
from common import TESTS


@pytest.mark.parametrize("words", [["dmeo"], ["--chek"], [""], ["demo", "--check"]])
def test_a_word_it_does_not_know_installs_nothing(words):
    done = subprocess.run([TESTS / "setup.sh", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "usage: tests/setup.sh [demo | --check]\n"
