"""What a model does over the example sentences: against plain reading, on disk, and when something goes wrong."""

import itertools
import json
import os
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from encoder import survey
from encoder.catalogue import DEFAULT_LEFT, DEFAULT_RIGHT, WEIGHTS, Entry, catalogue
from encoder.edits import words
from encoder.heads import MEASURES, measured, repeats, roles
from encoder.maps import hidden_states
from encoder.models import load
from encoder.sentences import SHIPPED, corpus
from encoder.survey import ROLE_NAMES, Surveying, fingerprint
from pages.shared import warm
from tests.tiny import save_tiny

SENTENCES = {"Animals": ["The cat sat on the mat.", "The bank was warm."], "Questions": ["Was it unbelievable?"] * 2}


@dataclass
class Counting:
    """A model that counts what it reads."""

    model: object
    read: int = 0

    def trace(self, text):
        self.read += 1
        return self.model.trace(text)


@pytest.fixture(autouse=True)
def _no_other_surveys():
    """Those that other tests of this process began are none of these."""
    survey._surveys.clear()


@pytest.fixture
def few(monkeypatch, tmp_path):
    """A corpus of four sentences in portions of three."""
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(SENTENCES), encoding="utf-8")
    monkeypatch.setenv("ENCODER_LENS_CORPUS", str(path))
    monkeypatch.setattr(survey, "PORTION", 3)
    corpus.cache_clear()
    yield path
    corpus.cache_clear()


@pytest.fixture
def tiny(tmp_path):
    return Counting(load(str(save_tiny(tmp_path / "model"))))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_teachers_own_sentences_are_read_whatever_program_wrote_them(few, encoding):
    few.write_bytes(json.dumps({"French": ["Le garçon a mangé la pomme."]}, ensure_ascii=False).encode(encoding))
    assert [sentence.text for sentence in corpus()] == ["Le garçon a mangé la pomme."]


ENTRY = catalogue()["scratch-untrained"]


def surveyed(model, home, entry=ENTRY):
    job = Surveying()
    job.run(entry, lambda: model, home)
    assert job.finished
    return job


def test_the_shipped_sentences_are_many_varied_and_labelled():
    kinds = json.loads(SHIPPED.read_text(encoding="utf-8"))
    texts = [text for each in kinds.values() for text in each]
    assert len(texts) >= 500
    assert len({text.casefold() for text in texts}) == len(texts)
    assert len(kinds) >= 5
    assert all(4 <= len(words(text)) <= 40 for text in texts)
    openings = Counter(" ".join(text.split()[:3]) for text in texts)
    assert openings.most_common(1)[0][1] <= 3


def test_a_survey_is_what_reading_each_sentence_gives(few, tiny, tmp_path):
    found = surveyed(tiny, tmp_path).survey
    texts = [sentence.text for sentence in corpus()]
    traces = [tiny.model.trace(text) for text in texts]
    assert found.sentences == len(texts) == 4
    for number, name in enumerate(MEASURES):
        able = [trace for trace in traces if name != "same" or repeats(trace.tokens)]
        expected = np.mean([measured(trace)[name] for trace in able], 0)
        np.testing.assert_allclose(found.measures[number], expected, atol=1e-6)
    for number, trace in enumerate(traces):
        assert [[ROLE_NAMES[each] for each in row] for row in found.roles[number]] == [
            list(row) for row in roles(trace)
        ]
    every = [word for text in texts for word in words(text)]
    assert found.hidden.shape == (3, len(every), 12)
    assert found.neurons.shape == (2, (len(every) + 3) // 4, 20)
    first = hidden_states(traces[0])[2][2]  # [CLS] the cat
    np.testing.assert_allclose(found.hidden[2, 1], first, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.neurons[1, 0], traces[0].layers[1].neurons[1], rtol=2e-3, atol=2e-3)


def test_a_word_in_pieces_is_the_mean_of_its_pieces(few, tiny, tmp_path):
    found = surveyed(tiny, tmp_path).survey
    trace = tiny.model.trace("Was it unbelievable?")
    place = sum(len(words(sentence.text)) for sentence in corpus()[:2]) + 2
    assert trace.tokens.text[3:6] == ("un", "##believ", "##able")
    np.testing.assert_allclose(found.hidden[1, place], trace.layers[0].hidden[3:6].mean(0), rtol=2e-3, atol=2e-3)


def test_the_strongest_places_of_a_neuron_are_where_it_is_strongest(few, tiny, tmp_path):
    found = surveyed(tiny, tmp_path).survey
    every = []
    for number, sentence in enumerate(corpus()):
        trace = tiny.model.trace(sentence.text)
        every += [
            (float(trace.layers[1].neurons[token, 7]), (number, *map(int, trace.tokens.span[token])))
            for token in np.flatnonzero(~trace.tokens.special)
        ]
    values = sorted((value for value, _ in every), reverse=True)[:10]
    np.testing.assert_allclose(found.top[1, 7], values, atol=1e-6)
    for value, where in zip(found.top[1, 7], found.where[1, 7].tolist(), strict=True):
        assert any(tuple(where) == place and abs(value - other) < 1e-6 for other, place in every)


def test_a_survey_that_was_stopped_goes_on_where_it_was(few, tiny, tmp_path):
    whole = surveyed(tiny, tmp_path / "one").survey
    assert tiny.read == 4
    surveyed(tiny, tmp_path / "one")
    assert tiny.read == 4, "all of it was on disk"
    folder = tmp_path / "one" / fingerprint(ENTRY)
    assert sorted(path.name for path in folder.iterdir()) == ["0000.npz", "0003.npz"]
    (folder / "0003.npz").unlink()
    again = surveyed(tiny, tmp_path / "one").survey
    assert tiny.read == 5
    (folder / "0000.npz").write_bytes((folder / "0000.npz").read_bytes()[:999])
    once_more = surveyed(tiny, tmp_path / "one").survey
    assert tiny.read == 8
    for name in ("measures", "roles", "hidden", "neurons", "top", "where", "silent"):
        assert np.array_equal(getattr(whole, name), getattr(again, name))
        assert np.array_equal(getattr(whole, name), getattr(once_more, name))


def test_usual_roles_are_those_of_most_sentences(few, tiny, tmp_path):
    found = surveyed(tiny, tmp_path).survey
    names, shares = found.usual_roles()
    for layer in range(2):
        for head in range(3):
            votes = Counter(found.roles[:, layer, head].tolist())
            assert votes[ROLE_NAMES.index(names[layer, head])] == max(votes.values())
            assert shares[layer, head] == max(votes.values()) / 4


def test_other_weights_and_other_sentences_are_another_survey(few, tmp_path):
    entries = catalogue()
    names = {fingerprint(entries[name]) for name in ("scratch", "minilm", "scratch-untrained", "first-article")}
    assert len(names) == 4
    few.write_text(json.dumps({"One": ["Another sentence."]}))
    assert fingerprint(ENTRY) in names, "the sentences are those that the server read when it began"
    corpus.cache_clear()
    assert fingerprint(ENTRY) not in names


def test_the_folders_not_used_for_longest_go(few, tiny, tmp_path):
    home = tmp_path / "surveys"
    for number in range(12):
        (home / f"old{number:02d}").mkdir(parents=True)
        os.utime(home / f"old{number:02d}", (1_000 + number,) * 2)
    surveyed(tiny, home)
    left = {path.name for path in home.iterdir()}
    assert left == {fingerprint(ENTRY), *(f"old{number:02d}" for number in range(5, 12))}
    assert len(left) == survey.FOLDERS


def folder_entry(tmp_path):
    return Entry("model", "model", "", folder=tmp_path / "model")


def test_replaced_files_are_another_survey_of_another_model(few, tiny, tmp_path):
    home, entry = tmp_path / "surveys", folder_entry(tmp_path)
    try:
        before = survey.start(entry, lambda: tiny, home)
        before.join(60)
        assert survey.running(folder_entry(tmp_path)) is before
        other = Counting(load(str(save_tiny(tmp_path / "model", num_hidden_layers=1))))
        replaced = folder_entry(tmp_path)
        assert survey.running(replaced) is None
        after = survey.start(replaced, lambda: other, home)
        after.join(60)
        assert (len(before.survey.silent), len(after.survey.silent)) == (2, 1)
        assert survey.running(replaced) is after
        assert before not in survey._surveys.values(), "the old one is let go of"
    finally:
        survey._surveys.pop(entry.name, None)


def test_an_old_model_is_never_kept_under_the_name_of_new_files(few, tiny, tmp_path):
    entry = folder_entry(tmp_path)
    assert entry.version
    save_tiny(tmp_path / "model", num_hidden_layers=1)
    job = surveyed(tiny, tmp_path / "surveys", entry)
    assert "were replaced" in job.error
    assert not (tmp_path / "surveys").exists()


def test_a_sealed_model_is_named_by_its_seal_whatever_lies_there_now(tmp_path):
    sealed = catalogue()["scratch"]
    copy = replace(sealed, folder=shutil.copytree(sealed.folder, tmp_path / "copy"))
    assert fingerprint(copy) == fingerprint(sealed) == fingerprint(replace(sealed, sha256=None))
    (copy.folder / WEIGHTS).write_bytes(b"of a later version")
    assert fingerprint(copy) == fingerprint(sealed)


@pytest.mark.parametrize("wrong", ["no JSON", "[]", "{}", '{"kind": [1]}', '{"kind": "text"}', '{"kind": ["..."]}'])
def test_sentences_that_cannot_be_read_are_told(few, tiny, tmp_path, wrong):
    few.write_text(wrong)
    job = surveyed(tiny, tmp_path)
    assert job.survey is None
    assert job.error.startswith("The example sentences in “corpus.json” ")


def test_what_goes_wrong_is_told_and_tried_again(few, tiny, tmp_path):
    def broken():
        raise OSError("the disk is full")

    try:
        job = survey.start(ENTRY, broken, tmp_path)
        job.join(60)
        assert job.survey is None
        assert job.error.endswith("the server’s log says more.")
        assert survey.start(ENTRY, broken, tmp_path) is job, "whoever asks is told, and nothing begins anew by itself"
        again = survey.start(ENTRY, lambda: tiny, tmp_path, again=True)
        assert again is not job
        again.join(60)
        assert again.survey
        assert survey.start(ENTRY, broken, tmp_path) is again
    finally:
        survey._surveys.clear()


def test_surveys_not_used_for_longest_leave_memory_but_none_under_way(few, tiny, tmp_path, monkeypatch):
    go = threading.Event()
    names = ("scratch-untrained", "first-article", "second-article", "scratch", "minilm")
    entries = [catalogue()[name] for name in names]
    try:
        for entry in entries[:3]:
            survey.start(entry, lambda: tiny, tmp_path).join(60)
        monkeypatch.setattr(survey, "KEPT_BYTES", survey.running(entries[0]).survey.nbytes)
        jobs = [survey.start(entry, lambda: go.wait(60) and tiny, tmp_path / "other") for entry in entries[3:]]
        assert [survey.start(entry, lambda: tiny, tmp_path) for entry in entries[3:]] == jobs
        assert list(survey._surveys) == list(names[2:])
        threads = [each for each in threading.enumerate() if each.name.startswith("survey ")]
        assert len(threads) == 2, "whoever asks again begins nothing anew"
        go.set()
        for job in jobs:
            job.join(60)
            assert job.survey
    finally:
        go.set()
        survey._surveys.clear()


def test_two_surveys_are_made_one_after_the_other(few, tiny, tmp_path):
    inside, most = [], []

    class Slow(Counting):
        def trace(self, text):
            inside.append(text)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()
            return super().trace(text)

    slow = Slow(tiny.model)
    try:
        jobs = [survey.start(catalogue()[name], lambda: slow, tmp_path) for name in ("scratch", "first-article")]
        for job in jobs:
            job.join(60)
            assert job.survey
        assert max(most) == 1
        assert slow.read == 8
    finally:
        survey._surveys.clear()


def test_a_word_that_was_not_read_is_known_as_such(few, tiny, tmp_path):
    class Short(Counting):
        def trace(self, text):
            return self.model.trace(text, limit=5)

    found = surveyed(Short(tiny.model), tmp_path).survey
    texts = [sentence.text for sentence in corpus()]
    read = [len(tiny.model.trace(text, limit=5).tokens) - 2 for text in texts]
    assert read == [3, 3, 3, 3]
    # The cat sat | The bank was | Was it un: a word is read when a part of it is.
    assert found.read.tolist() == [*[True] * 3, *[False] * 3, *[True] * 3, False, *[True] * 6]
    assert not found.hidden[:, ~found.read].any()


def test_sentences_in_which_nothing_repeats_do_not_lower_the_share_of_the_same_word(few, tiny, tmp_path):
    found = surveyed(tiny, tmp_path).survey
    assert [repeats(tiny.model.trace(sentence.text).tokens) for sentence in corpus()] == [True, False, False, False]
    number = list(MEASURES).index("same")
    expected = measured(tiny.model.trace(corpus()[0].text))["same"]
    np.testing.assert_allclose(found.measures[number], expected, atol=1e-6)


def test_another_measure_or_role_is_another_survey_though_the_files_of_the_old_one_are_kept(
    few, tiny, tmp_path, monkeypatch
):
    home = tmp_path / "surveys"
    before = surveyed(tiny, home).survey
    monkeypatch.setitem(MEASURES, "own", replace(MEASURES["self"], label="Own"))
    after = surveyed(tiny, home).survey
    assert after.name != before.name
    assert len(after.measures) == len(before.measures) + 1
    np.testing.assert_array_equal(after.measures[-1], after.measures[[*MEASURES].index("self")])
    monkeypatch.setattr(survey, "ROLE_NAMES", ("", "new", *ROLE_NAMES[1:]))
    third = surveyed(tiny, home).survey
    assert third.name not in (before.name, after.name)
    shift = (before.roles > 0).astype(int)
    np.testing.assert_array_equal(third.roles, before.roles + shift)


def test_code_of_another_version_reads_anew_and_its_pictures_do_not_matter(few, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "CODE", shutil.copytree(survey.CODE, tmp_path / "encoder"))
    names = []
    for path in (None, "figures/heads.py", "heads.py", "model.py"):
        if path:
            with (tmp_path / "encoder" / path).open("a") as file:
                file.write("\n# of a later version\n")
        survey._code.cache_clear()
        names.append(fingerprint(ENTRY))
    survey._code.cache_clear()
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_numbers_that_half_precision_cannot_hold_are_kept_as_they_are(few, tiny, tmp_path, monkeypatch):
    trace = tiny.model.trace

    def large(text):
        read = trace(text)
        layers = tuple(replace(each, hidden=each.hidden * np.float32(1e6)) for each in read.layers)
        return replace(read, layers=layers)

    usual = surveyed(tiny, tmp_path / "usual").survey
    monkeypatch.setattr(tiny.model, "trace", large)
    found = surveyed(tiny, tmp_path / "large").survey
    assert usual.hidden.dtype == np.float16
    np.testing.assert_allclose(found.hidden[1:] / 1e6, usual.hidden[1:].astype(np.float32), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("hurry", "rest"), [(False, survey.UNHURRIED), (True, 1)])
def test_a_survey_rests_most_of_the_time_while_nobody_waits_for_it(few, tiny, tmp_path, monkeypatch, hurry, rest):
    rests = []
    monkeypatch.setattr(survey, "time", SimpleNamespace(perf_counter=itertools.count().__next__, sleep=rests.append))
    try:
        job = survey.start(ENTRY, lambda: tiny, tmp_path, hurry=hurry)
        job.join(60)
        assert job.survey
        assert rests == [rest] * 4
    finally:
        survey._surveys.clear()


def test_whoever_waits_for_a_survey_that_nobody_waited_for_makes_it_hurry(few, tiny, tmp_path):
    go = threading.Event()
    try:
        job = survey.start(ENTRY, lambda: go.wait(60) and tiny, tmp_path, hurry=False)
        assert not job.hurry
        assert survey.start(ENTRY, lambda: tiny, tmp_path, hurry=False) is job
        assert not job.hurry
        assert survey.start(ENTRY, lambda: tiny, tmp_path) is job
        assert job.hurry
        go.set()
        job.join(60)
    finally:
        go.set()
        survey._surveys.clear()


def test_the_server_has_both_models_of_a_first_visit_read_the_sentences_unhurried(monkeypatch):
    asked = []
    monkeypatch.setattr(survey, "start", lambda entry, load, hurry: asked.append((entry.name, hurry)))
    warm.read_examples()
    assert asked == [(DEFAULT_LEFT, False), (DEFAULT_RIGHT, False)]
