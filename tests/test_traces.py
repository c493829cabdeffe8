"""Loading and reading for everybody in the room: what is kept, and what is left as it was."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch

from encoder import devices
from encoder.catalogue import catalogue
from encoder.errors import ModelError
from encoder.maps import Places
from encoder.models import Model
from pages.shared import garbage, traces
from tests.app import explored, fine, half, html, open_page, said
from tests.tiny import save_tiny


@pytest.fixture
def readings():
    traces._readings.clear()
    yield traces._readings()
    traces._readings.clear()


def test_of_many_short_readings_only_the_last_are_kept(readings):
    small = Places(np.zeros((2, 3, 2), dtype=np.float32), ("x", "y"))
    for number in range(2 * traces.READINGS):
        readings.get(number, lambda: small)
    assert readings.peek(traces.READINGS - 1) is None
    assert readings.peek(traces.READINGS) is readings.peek(2 * traces.READINGS - 1) is small


def test_the_second_person_who_asks_for_the_same_text_costs_no_second_forward(readings, monkeypatch):
    asked = []
    trace = Model.trace
    monkeypatch.setattr(Model, "trace", lambda model, *given: asked.append(given) or trace(model, *given))
    first = open_page("attention", text="Nobody asked this before.")
    again = open_page("attention", text="Nobody asked this before.")
    assert fine(first)
    assert fine(again)
    assert explored(first)["models"].keys() == explored(again)["models"].keys() == {"a", "b"}
    assert [given[0] for given in asked].count("Nobody asked this before.") == 2  # one for each model


def test_a_model_that_cannot_be_loaded_leaves_the_garbage_collector_on():
    with pytest.raises(ModelError):
        traces._load("no-such-model", "cpu")
    assert gc.isenabled()
    traces._load("scratch-untrained", "cpu")
    assert gc.isenabled()


def test_of_two_loads_at_once_the_first_to_end_leaves_the_collector_off_for_the_other():
    inside, go_on = threading.Event(), threading.Event()

    def load():
        with garbage.resting():
            inside.set()
            assert go_on.wait(60)

    other = threading.Thread(target=load)
    other.start()
    try:
        assert inside.wait(60)
        with pytest.raises(KeyError), garbage.resting():
            raise KeyError
        assert not gc.isenabled()
        frozen = gc.get_freeze_count()
    finally:
        go_on.set()
        other.join(60)
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with garbage.resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_small_products_are_computed_in_the_calling_thread_and_large_ones_in_all(monkeypatch):
    monkeypatch.setattr(devices, "THREADS", 3)
    before = torch.get_num_threads()
    try:
        for multiplications, expected in ((devices.ALONE - 1, 1), (devices.ALONE, 3)):
            with devices.threads(multiplications):
                assert torch.get_num_threads() == expected
            assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), devices.threads(0):
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A teacher's own model, for the test to replace."""
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    yield save_tiny(tmp_path / "mine")
    traces._models.clear()
    traces._readings.clear()


def test_files_that_were_replaced_are_what_every_picture_is_drawn_from(mine):
    app = open_page("attention", a="mine")
    assert "2 layers · 3 heads · width 12" in html(app)
    save_tiny(mine, num_hidden_layers=1, num_attention_heads=2)
    app.run()
    assert fine(app)
    assert "1 layer · 2 heads · width 12" in html(app)
    assert explored(app)["models"]["a"]["heads"] == 2


def test_a_model_whose_files_were_replaced_is_let_go_of_and_no_other(mine):
    before, beside = (traces.load(catalogue()[name], "cpu") for name in ("mine", "scratch-untrained"))
    assert traces.load(catalogue()["mine"], "cpu") is before
    old, store = weakref.ref(before), traces._models()
    save_tiny(mine, num_hidden_layers=1)
    after = traces.load(catalogue()["mine"], "cpu")
    assert after.card.layers == 1
    del before
    assert old() is None
    assert traces.load(catalogue()["scratch-untrained"], "cpu") is beside
    assert store.used == 4 * (after.card.parameters + beside.card.parameters)


def test_files_that_are_replaced_while_they_are_read_are_told_and_read_again(mine, monkeypatch):
    load = traces._load

    def interrupted(entry, where):
        if entry.name == "mine":
            save_tiny(mine, num_hidden_layers=1)
            monkeypatch.setattr(traces, "_load", load)
        return load(entry, where)

    monkeypatch.setattr(traces, "_load", interrupted)
    app = open_page("attention", a="mine")
    assert fine(app)
    assert "“mine” were replaced while they were read; try again" in said(half(app, "a")).replace("\\", "")
    app.run()
    assert "1 layer · 3 heads · width 12" in html(app)
    assert not half(app, "a").warning
