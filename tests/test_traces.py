"""Loading and reading for everybody in the room: what is kept, and what is left as it was."""

import gc

import numpy as np
import pytest
import torch

from encoder import devices
from encoder.errors import ModelError
from encoder.maps import Places
from encoder.models import Model
from pages.shared import traces
from tests.app import explored, fine, open_page


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
