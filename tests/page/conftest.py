"""The page on its own: nginx in front of a player of docs/api.md, and a real browser."""

import pytest
from browser import Browser
from player import Plant, Player
from served_page import ServedPage


@pytest.fixture(scope="module")
def player(tmp_path_factory):
    with Player(tmp_path_factory.mktemp("run"), Plant()) as running:
        yield running


@pytest.fixture
def plant(player):
    """The plant that is played: a new one, where all is good, for each test."""
    player.plant = Plant()
    player.silent = False
    return player.plant


@pytest.fixture(scope="module")
def page(player):
    running = ServedPage(player.folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    running = Browser(tmp_path_factory.mktemp("browser"))
    try:
        yield running
    finally:
        running.close()
