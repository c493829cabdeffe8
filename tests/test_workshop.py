"""Lessons: what is chosen, how they run in processes of their own, and how a class shares the processor."""

import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import psutil
import pytest
import torch
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save
from safetensors.torch import load_file

from encoder import checkpoints, corpus, learn
from encoder.errors import KnownError, ModelError
from encoder.lesson import OFFERED, SNAPSHOTS, STRUCTURES, LessonConfig, best_head, by_head, milestone, write_orders
from encoder.masked import MaskedLanguageModel, Pieces
from encoder.model import Encoder
from encoder.models import load
from encoder.pretrain import commonest
from encoder.replay import replay
from encoder.workshop import KEEP, MOST, Run, Workshop
from tests.app import until
from tests.tiny import shaken

pytestmark = pytest.mark.usefixtures("alone")

QUICK = {"steps": 40, "width": 16, "layers": 1, "heads": 2}
TEXT = "The cat sat on the mat because it was tired. The dog bit the man, and the man bit the dog.\n" * 60


@pytest.fixture(scope="module")
def here():
    """Whose pages are open: everybody's but those in this set's."""
    return set()


@pytest.fixture(scope="module")
def shop(tmp_path_factory, here):
    return Workshop(tmp_path_factory.mktemp("workshop"), lambda owner: owner not in here)


@pytest.fixture(scope="module")
def done(shop):
    """A lesson that has come to its end."""
    return ended(shop.start("first", LessonConfig(**QUICK)))


def ended(run):
    until(lambda: run.over)
    return run


def taught(folder, text="", heard=lambda lesson: ""):
    """A lesson in this process: how it ends. heard: what is wished of it, asked before each step."""
    write_orders(folder, LessonConfig(**QUICK, own_text=bool(text)), text)
    lesson = learn.Lesson(folder)
    wish = type("Wish", (), {"heard": property(lambda self: heard(lesson))})
    return lesson.teach(wish())


def working(run, step=1):
    until(lambda: run.over or (run.state == "running" and run.step >= step))
    assert run.state == "running", run.why
    return run


# What is chosen


def test_every_width_fits_every_number_of_heads_and_others_are_refused():
    for width in OFFERED["width"]:
        for heads in OFFERED["heads"]:
            LessonConfig(width=width, heads=heads)
    with pytest.raises(ValueError, match="multiple"):
        LessonConfig(width=16, heads=3)
    for name, values in OFFERED.items():
        assert getattr(LessonConfig(), name) in values


@pytest.mark.parametrize("steps", OFFERED["steps"])
def test_moments_are_many_closer_at_the_beginning_and_hold_both_ends(steps):
    moments = LessonConfig(steps=steps).moments
    assert 20 <= len(moments) <= SNAPSHOTS
    assert (moments[0], moments[-1]) == (0, steps)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps == sorted(gaps)


def test_milestones_and_the_best_head():
    assert milestone([0, 10, 20, 30], [0.1, 0.9, 0.4, 0.8], 0.5) == 30  # it did not stay there at first
    assert milestone([0, 10, 20], [0.1, 0.6, 0.7], 0.5) == 10
    assert milestone([0, 10], [0.1, 0.2], 0.5) is None
    weights = [[[0.1, 0.9], [0.2, 0.3]], [[0.1, 0.2], [0.6, 0.4]]]  # [moment][layer][head]
    curves = by_head(weights)
    assert curves == {"1-1": [0.1, 0.1], "1-2": [0.9, 0.2], "2-1": [0.2, 0.6], "2-2": [0.3, 0.4]}
    assert best_head(curves) == "2-1"


# A lesson


def test_a_lesson_leaves_its_curves_snapshots_and_a_model_that_reads(done):
    assert (done.state, done.step, done.why) == ("done", 40, "")
    assert done.seconds > 0
    assert [step for step, _ in done.moments] == done.config.moments
    assert set(done.chance) == {"agreement", "pronouns", "brackets", "copying"}
    assert done.chance["agreement"] == pytest.approx(0.5)
    steps, values = done.accuracy("brackets")
    assert steps[0] == 0
    assert steps[-1] == 40
    assert all(0 <= value <= 1 for value in values)
    _, weights = done.weights("previous")
    assert np.shape(weights[0]) == (1, 2)  # layer, head
    assert done.loss[0] == [25]  # the mean of so many steps
    model = load(str(done.model))
    assert model.trace("The dogs sleep .").tokens.text == ("[CLS]", "the", "dogs", "sleep", ".", "[SEP]")
    assert len(model.guesses(model.trace("the dogs [MASK] ."))) == 1


def test_every_snapshot_is_another_encoder_and_the_last_is_the_model(done):
    seen = replay(done.moments, "the dogs sleep .", 40)
    attention, steps, tokens = seen.attention
    assert attention.shape == (len(steps), 1, 2, 6, 6)
    assert tokens[1] == "the"
    assert all(not np.array_equal(before, after) for before, after in pairwise(attention))
    last = load(str(done.model)).trace("the dogs sleep .")
    np.testing.assert_array_equal(attention[-1, 0], last.layers[0].attention)
    np.testing.assert_array_equal(seen.hidden("last")[0][-1], last.layers[-1].hidden)
    np.testing.assert_array_equal(seen.hidden("first")[0][-1], last.embedding.output)
    assert replay(done.moments[:2], "the dogs sleep .", 4).left_out == 2


def test_a_lesson_that_paused_ends_as_one_that_did_not(shop):
    through = ended(shop.start("through", LessonConfig(**QUICK, seed=4)))
    paused = working(shop.start("paused", LessonConfig(**QUICK, seed=4)))
    shop.pause(paused)
    until(lambda: paused.state == "paused")
    assert 0 < paused.step < 40
    assert paused.model is None
    assert paused.moments[-1][0] == paused.step  # where it paused can be looked at
    shop.resume(paused)
    ended(paused)
    one, other = (load_file(run.model / "model.safetensors") for run in (through, paused))
    assert all(bool((one[name] == other[name]).all()) for name in one)
    marks = {run.name: dict(zip(*run.accuracy("agreement"), strict=True)) for run in (through, paused)}
    assert marks[through.name].items() <= marks[paused.name].items()
    assert paused.loss == through.loss
    steps = [step for step, _ in paused.moments]
    assert steps == sorted(set(steps))


def test_a_lesson_of_own_text_that_paused_goes_on_with_the_same_pieces(shop):
    run = working(shop.start("own, paused", LessonConfig(**QUICK, own_text=True), TEXT))
    shop.pause(run)
    until(lambda: run.state == "paused")
    shop.resume(run)
    ended(run)
    (_, first), *_ = run.moments
    one, other = ((folder / "tokenizer.json").read_text() for folder in (first, run.model))
    assert one == other


def test_a_lesson_that_is_stopped_while_it_pauses_stops_and_leaves_its_model(shop):
    run = working(shop.start("undecided", LessonConfig(**{**QUICK, "steps": 4_000})))
    shop.pause(run)
    shop.stop(run)
    assert ended(run).state == "stopped"
    assert run.model
    later = working(shop.start("undecided", LessonConfig(**{**QUICK, "steps": 4_000})))
    shop.pause(later)
    until(lambda: later.state == "paused")
    shop.stop(later)
    assert later.state == "stopped"
    assert later.model


def test_a_wish_that_is_told_before_the_process_has_begun_is_heard(shop):
    run = shop.start("hasty", LessonConfig(**{**QUICK, "steps": 9_000}))
    until(lambda: run.state == "starting")
    shop.pause(run)
    until(lambda: run.state == "paused")
    shop.resume(run)
    shop.stop(working(run))
    ended(run)
    steps = [step for step, _ in run.moments]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("wish", ["pause", "stop"])
def test_a_wish_in_the_last_step_comes_too_late(tmp_path, wish):
    def heard(lesson):
        return wish if lesson._training.step == QUICK["steps"] else ""

    assert taught(tmp_path, heard=heard) == "done"


def test_a_process_that_has_just_ended_is_told_nothing_and_breaks_nothing(tmp_path):
    run = Run("somebody", 1, LessonConfig(**QUICK), tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, text=True) as process:
        process.wait()
        run._process = process
        run._say("pause")  # leaving the block closes what could not be told
    run.state = "done"
    run._break_off("It broke.")
    assert (run.state, run.why) == ("done", "")


def test_what_is_asked_was_never_learned_from():
    asked = {each.text for each in corpus.sentences(learn.ASKED * 4, learn.EXAM_SEED)}
    tokenizer, _, exam, texts = learn._toy()
    learned = {tuple(ids) for group in texts._groups for ids in group.tolist()}
    assert len(asked) > 200
    assert not learned & {tuple(tokenizer.encode(text).ids) for text in asked}
    assert sum(len(group) for _, _, group in exam._groups) == learn.ASKED * 4


def test_every_structure_is_learned_as_well_as_asked():
    assert set(learn.TURNS) == set(STRUCTURES) == set(corpus.STRUCTURES)


@pytest.fixture(scope="module")
def toy():
    """The toy language's exam, and a random model that sits it."""
    tokenizer, row, exam, _ = learn._toy()
    pieces = Pieces.of(tokenizer)
    encoder = Encoder(learn.encoder_config(LessonConfig(width=16, layers=2, heads=2), len(pieces.special)))
    return tokenizer, exam, shaken(MaskedLanguageModel(encoder, commonest(row, pieces, len(pieces.special)))).eval()


@torch.inference_mode()
def test_an_exam_marks_what_each_sentence_by_itself_gives(toy):
    tokenizer, exam, model = toy
    choice = {int(number): place for place, number in enumerate(model.head.ids)}
    right, weights, neighbours = defaultdict(list), defaultdict(list), defaultdict(list)
    for sentence, question in (each for *_, group in exam._groups for each in group):
        words = ["[CLS]", *sentence.words, "[SEP]"]
        here, there = question.place + 1, question.decided_by + 1
        assert words[here] in question.right
        words[here] = "[MASK]"
        ids = torch.tensor([[tokenizer.token_to_id(word) for word in words]])
        asked = torch.arange(len(words))[None] == here
        [logits] = model(ids, torch.zeros_like(ids), asked)
        likeliest = max(question.right | question.wrong, key=lambda word: logits[choice[tokenizer.token_to_id(word)]])
        right[sentence.structure].append(likeliest in question.right)
        attention = np.stack([layer.attention[0].numpy() for layer in model.encoder.trace(ids)[1]])
        weights[sentence.structure].append(attention[:, :, here, there])
        for name, offset in (("previous", -1), ("next", 1)):
            neighbours[name].append(np.diagonal(attention, offset, 2, 3).mean(-1))
    marks = exam.marks(model)
    assert marks.accuracy == pytest.approx({name: np.mean(each) for name, each in right.items()})
    assert 0 < min(marks.accuracy.values()) < max(marks.accuracy.values()) < 1
    for name, each in (weights | neighbours).items():
        np.testing.assert_allclose(marks.weight[name], np.mean(each, 0), atol=1e-4)


def test_guessing_is_always_to_say_the_word_that_was_learned_from_most_often(toy):
    _, exam, _ = toy
    known = {each.text for each in corpus.sentences(learn.ASKED * 4, learn.EXAM_SEED)}
    learned = corpus.sentences(learn.TOY_SENTENCES, learn.TOY_SEED, learn.TURNS)
    often = Counter(word for each in learned if each.text not in known for word in each.words)
    unigram, chance = defaultdict(list), defaultdict(list)
    for sentence, question in (each for *_, group in exam._groups for each in group):
        possible = question.right | question.wrong
        unigram[sentence.structure].append(max(sorted(possible), key=often.__getitem__) in question.right)
        chance[sentence.structure].append(len(question.right) / len(possible))
    assert exam.unigram == pytest.approx({name: np.mean(each) for name, each in unigram.items()})
    assert exam.chance == pytest.approx({name: np.mean(each) for name, each in chance.items()})


@torch.inference_mode()
def test_an_exam_on_somebodys_own_text_counts_its_hidden_pieces(tmp_path):
    (tmp_path / learn.TEXT).write_text(TEXT * 20, encoding="utf-8")
    tokenizer, row, exam, _ = learn._own(tmp_path)
    pieces = Pieces.of(tokenizer)
    encoder = Encoder(learn.encoder_config(LessonConfig(**QUICK), len(pieces.special)))
    model = shaken(MaskedLanguageModel(encoder, commonest(row, pieces, len(pieces.special)))).eval()
    right, usual = [], Counter(row[~pieces.special.numpy()[row]].tolist()).most_common(1)[0][0]
    for batch in exam._batches:
        for number in range(len(batch.ids)):
            one = type(batch)(*(part[number : number + 1] for part in batch))
            guessed = model.head.ids[model(one.ids, one.segment, one.asked).argmax(-1)]
            right += (guessed == one.truth[one.asked]).tolist()
    truth = torch.cat([batch.truth[batch.asked] for batch in exam._batches])
    assert len(right) == len(truth) > 20
    assert 0 < np.mean(right) < 1
    assert exam.marks(model).accuracy == {"hidden pieces": pytest.approx(np.mean(right))}
    assert exam.unigram == {"hidden pieces": pytest.approx(float((truth == usual).float().mean()))}


def test_a_text_whose_signs_do_not_fit_into_the_vocabulary_is_refused_with_the_share_that_is_lost(tmp_path):
    signs = [chr(0x4E00 + number) for number in range(6_000)]
    (tmp_path / learn.TEXT).write_text("\n".join("".join(signs[start:] + signs[:start]) for start in range(3)), "utf-8")
    with pytest.raises(
        ValueError, match=r"^Your text: [\d,]+ tokens, [78]\d\.\d\d% of them \[UNK\], and 20% may be\. .*\.$"
    ):
        learn._own(tmp_path)


def test_a_lesson_learns_agreement_and_one_of_its_heads_to_look_at_the_noun(tmp_path):
    write_orders(tmp_path, LessonConfig(width=32, steps=1_000), "")
    lesson = learn.Lesson(tmp_path)
    before = lesson._exam.marks(lesson._training.model.eval())
    assert lesson.teach(learn.Wish()) == "done"
    after = lesson._exam.marks(lesson._training.model.eval())
    guessing = lesson._exam.unigram["agreement"]
    assert before.accuracy["agreement"] < guessing + 0.1 < 0.8 < after.accuracy["agreement"]
    assert np.max(before.weight["agreement"]) < 0.3 < 0.5 < np.max(after.weight["agreement"])


def test_a_stopped_lesson_leaves_what_it_has_learned(shop):
    run = working(shop.start("stopped", LessonConfig(**{**QUICK, "steps": 4_000})))
    shop.stop(run)
    ended(run)
    assert run.state == "stopped"
    assert 0 < run.step < 4_000
    assert load(str(run.model)).trace("the dog sleeps .").layers


def test_somebodys_own_text_is_learned_with_pieces_of_its_own(shop):
    run = ended(shop.start("own", LessonConfig(**QUICK, own_text=True), TEXT))
    assert (run.state, run.why) == ("done", "")
    choices = load_file(run.model / "model.safetensors")["head.ids"]
    assert run.chance == {"hidden pieces": 1 / len(choices)}
    assert 0 < run.unigram["hidden pieces"] < 1
    tokens = load(str(run.model)).trace("The cat bit the mat.").tokens.text
    assert tokens == ("[CLS]", "the", "cat", "bit", "the", "mat", ".", "[SEP]")


@pytest.mark.parametrize("text", ["acgt" * 50_000, ("a" * 101 + " ") * 900], ids=["no blank", "long words"])
def test_words_longer_than_wordpiece_takes_are_learned_from(tmp_path, text):
    assert taught(tmp_path, text) == "done"


def test_the_vocabulary_of_a_text_keeps_to_its_bound_and_is_made_once(tmp_path):
    syllables = [chr(0xAC00 + number) for number in range(5_000)]
    (tmp_path / learn.TEXT).write_text(" ".join(map("".join, pairwise(syllables))), encoding="utf-8")
    made = learn._vocabulary(tmp_path).get_vocab()
    assert len(made) <= learn.PIECES
    assert learn._vocabulary(tmp_path).get_vocab() == made


def test_heads_are_watched_in_own_text_with_the_segments_that_it_is_learned_with(tmp_path):
    (tmp_path / learn.TEXT).write_text(TEXT, encoding="utf-8")
    tokenizer, row, exam, _ = learn._own(tmp_path)
    pieces = Pieces.of(tokenizer)
    encoder = Encoder(learn.encoder_config(LessonConfig(**QUICK), len(pieces.special)))
    model = shaken(MaskedLanguageModel(encoder, commonest(row, pieces, len(pieces.special))))
    before = exam.marks(model).weight
    with torch.no_grad():
        encoder.embeddings.segment.weight[1] += torch.arange(16)
    after = exam.marks(model).weight
    assert all(before[name] != after[name] for name in ("previous", "next"))


STRANGE = "\x00\x01 \ud83d".encode("utf-8", "replace").decode()


@pytest.mark.parametrize("text", ["Too short.", " ", STRANGE, "[MASK] " * 900])
def test_a_text_too_short_to_learn_from_is_said(tmp_path, text):
    with pytest.raises(ValueError, match="at least 800"):
        taught(tmp_path, text)


def test_a_text_of_which_most_is_unknown_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^Your text: 21,055 tokens, 94\.99% of them \[UNK\], and 20% may be\."):
        taught(tmp_path, "[UNK] " * 20_000 + TEXT[:4_000])


def test_a_lesson_that_cannot_begin_says_why(shop):
    run = ended(shop.start("short", LessonConfig(**QUICK, own_text=True), ""))
    assert run.state == "failed"
    assert "at least 800" in run.why


def test_a_loss_that_is_no_number_is_said(shop, monkeypatch):
    run = ended(shop.start("wild", LessonConfig(**QUICK, norm="none", score_scale="none", learning_rate=1e30)))
    assert run.state == "failed"
    assert "learning rate" in run.why


# A class


def test_one_has_the_processor_and_the_others_wait_in_order_and_can_leave(shop):
    runs = [shop.start(f"learner {number}", LessonConfig(**{**QUICK, "steps": 300})) for number in range(5)]
    until(lambda: runs[0].state == "running")
    assert [run.state for run in runs[1:]] == ["waiting"] * 4
    assert [shop.ahead(run) for run in runs[1:]] == [1, 2, 3, 4]
    shop.stop(runs[2])
    assert runs[2].state == "stopped"
    assert [shop.ahead(run) for run in (runs[1], runs[3], runs[4])] == [1, 2, 3]
    shop.stop(runs[0])
    until(lambda: runs[1].state == "running")
    for run in runs:
        shop.stop(run)
    for run in runs:
        ended(run)


def test_a_second_training_of_the_same_learner_waits_for_the_first(shop):
    run = shop.start("greedy", LessonConfig(**QUICK))
    with pytest.raises(ValueError, match="under way"):
        shop.start("greedy", LessonConfig(**QUICK))
    ended(run)
    assert ended(shop.start("greedy", LessonConfig(**QUICK))).number == 2


def test_a_process_that_dies_is_said_and_the_next_one_has_its_turn(shop):
    dying = working(shop.start("dying", LessonConfig(**{**QUICK, "steps": 9_000})))
    following = shop.start("next", LessonConfig(**QUICK))
    os.kill(dying._process.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    assert ended(dying).state == "failed"
    assert "unexpectedly" in dying.why
    assert ended(following).state == "done"


def test_a_lesson_that_does_not_hear_stop_is_killed_and_the_next_one_has_its_turn(shop, monkeypatch):
    monkeypatch.setattr("encoder.workshop.PATIENCE", 0.5)
    deaf = working(shop.start("deaf", LessonConfig(**{**QUICK, "steps": 9_000})))
    following = shop.start("after the deaf one", LessonConfig(**QUICK))
    psutil.Process(deaf._process.pid).suspend()
    shop.stop(deaf)
    shop.pause(deaf)  # too late
    assert ended(deaf).state == "stopped"
    assert deaf.why == ""
    assert ended(following).state == "done"


def test_paused_lessons_count_too_and_one_learner_has_one_under_way(shop):
    busy = working(shop.start("busy", LessonConfig(**{**QUICK, "steps": 9_000})))
    for _ in range(MOST + 3):
        shop.pause(shop.start("hoarder", LessonConfig(**QUICK)))
    first, second, *others = shop.of("hoarder")
    assert [run.number for run in (first, second, *others)] == list(range(4, MOST + 4))
    shop.resume(first)
    with pytest.raises(ValueError, match="under way"):
        shop.resume(second)
    assert (first.state, second.state) == ("waiting", "paused")
    for run in (first, second, *others, busy):
        shop.stop(run)
    ended(busy)


def test_a_page_that_is_closed_ends_its_lessons(shop, here, monkeypatch):
    monkeypatch.setattr("encoder.workshop.AWAY", 0.5)
    working(run := shop.start("leaving", LessonConfig(**{**QUICK, "steps": 9_000})))
    here.add("leaving")
    assert ended(run).state == "stopped"
    assert run.why == "Its page was closed."


# Files


def test_a_model_that_was_downloaded_comes_back_the_same(shop, done):
    brought = shop.bring("first", "mine", checkpoints.pack(done.model))
    one, other = load(str(done.model)), load(str(brought.folder))
    text = "the dogs near the tree [MASK] ."
    np.testing.assert_array_equal(one.trace(text).layers[-1].hidden, other.trace(text).layers[-1].hidden)
    assert one.guesses(one.trace(text)) == other.guesses(other.trace(text))
    assert shop.brought_by("first") == [brought]
    assert shop.brought_by("somebody else") == []


def _header(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size])["__metadata__"]


def _spoil(data, **changes):
    """The same file with another header; None leaves a part out."""
    header = {name: value for name, value in (_header(data) | changes).items() if value is not None}
    return save(from_bytes(data), header)


def _larger(data, name, value):
    """The same weights under a config that says something else."""
    config = json.loads(_header(data)["config"])
    config["encoder"][name] = value
    return _spoil(data, config=json.dumps(config))


def _with_weights(data, change, which="encoder.layers.0.feed_forward.expand.weight"):
    """The same file with one array changed."""
    weights = from_bytes(data)
    weights[which] = change(weights[which].astype(np.float32) if which != "head.ids" else weights[which])
    return save(weights, _header(data))


BAD = {
    "a pickle": lambda data: b"\x80\x04K\x01.",
    "nothing": lambda data: b"",
    "half a file": lambda data: data[: len(data) // 2],
    "no config": lambda data: _spoil(data, config=None),
    "a config of another model": lambda data: _spoil(
        data, config=_header(data)["config"].replace(checkpoints.FAMILY, "bert")
    ),
    "a config that is a list": lambda data: _spoil(data, config="[]"),
    "wider by its config": lambda data: _larger(data, "width", 32),
    "deeper by its config": lambda data: _larger(data, "layers", 4_000_000),
    "wide beyond all memory": lambda data: _larger(data, "width", 2**40),
    "a config without an end": lambda data: _spoil(data, config="[" * 200_000),
    "wide beyond all numbers": lambda data: _larger(data, "width", 10**30),
    "positions beyond all numbers": lambda data: _larger(data, "positions", 10**20),
    "a dropout below zero": lambda data: _larger(data, "dropout", -1.0),
    "segments below zero": lambda data: _larger(data, "segments", -1),
    "one segment": lambda data: _with_weights(
        _larger(data, "segments", 1), lambda one: one[:1], "encoder.embeddings.segment.weight"
    ),
    "no room for two sentences": lambda data: _with_weights(
        _larger(data, "positions", 2), lambda one: one[:2], "encoder.embeddings.position.weight"
    ),
    "an epsilon that is no number": lambda data: _larger(data, "norm_eps", float("nan")),
    "an epsilon below zero": lambda data: _larger(data, "norm_eps", -1.0),
    "weights beyond all numbers": lambda data: _with_weights(data, lambda one: one * np.float32(1e30)),
    "whole numbers as weights": lambda data: _with_weights(data, lambda one: one.astype(np.int32)),
    "the same choice twice": lambda data: _with_weights(data, np.zeros_like, "head.ids"),
    "no tokenizer": lambda data: _spoil(data, tokenizer=None),
    "a tokenizer that is none": lambda data: _spoil(data, tokenizer="{}"),
    "a tokenizer of another kind": lambda data: _spoil(data, tokenizer='{"model": {"type": "BPE"}}'),
    "a tokenizer without specials": lambda data: _spoil(
        data, tokenizer='{"model": {"type": "WordLevel", "vocab": {"a": 0}}}'
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_file_is_refused_with_the_reason_and_leaves_nothing_behind(shop, done, fault):
    before = set(shop._home.iterdir())
    with pytest.raises(ModelError) as told:
        shop.bring("first", "bad", BAD[fault](checkpoints.pack(done.model)))
    assert str(told.value).endswith(".")
    assert set(shop._home.iterdir()) == before


def test_a_tokenizer_brings_its_vocabulary_and_no_rules(shop, done):
    data = checkpoints.pack(done.model)
    tokenizer = json.loads(_header(data)["tokenizer"])
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}
    brought = shop.bring("first", "sly", _spoil(data, tokenizer=json.dumps(tokenizer)))
    assert "Replace" not in (brought.folder / "tokenizer.json").read_text()


def test_seven_trainings_of_one_learner_are_all_kept(shop):
    for _ in range(7):
        run = shop.start("keen", LessonConfig(**QUICK))
        shop.pause(run)
        until(lambda run=run: run.state == "paused")
        shop.stop(run)
    assert [run.number for run in shop.of("keen")] == [1, 2, 3, 4, 5, 6, 7]
    assert all(run.state == "stopped" for run in shop.of("keen"))


# What is kept


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """A workshop in which nothing happens by itself."""
    monkeypatch.setattr(Workshop, "_teach", lambda shop: None)
    monkeypatch.setattr(Workshop, "_watch", lambda shop: None)
    return Workshop(tmp_path, lambda owner: owner == "here")


def given_up(shop, owner):
    run = shop.start(owner, LessonConfig(**QUICK))
    shop.stop(run)
    return run


def folders(shop):
    return {path.name for path in shop._home.iterdir()}


def test_of_each_learner_the_last_trainings_and_models_are_kept_with_their_folders(idle, done, monkeypatch):
    monkeypatch.setattr("encoder.workshop.MOST", 3)
    monkeypatch.setattr("encoder.workshop.MOST_BROUGHT", 2)
    data = checkpoints.pack(done.model)
    theirs = [given_up(idle, "other"), idle.bring("other", "theirs", data)]
    runs = [given_up(idle, "keen") for _ in range(5)]
    brought = [idle.bring("keen", f"model {number}", data) for number in range(3)]
    assert idle.of("keen") == runs[-3:]
    assert idle.brought_by("keen") == brought[-2:]
    assert [*idle.of("other"), *idle.brought_by("other")] == theirs
    assert folders(idle) == {each.folder.name for each in (*runs[-3:], *brought[-2:], *theirs)}


def test_what_was_learned_goes_with_its_folders_when_its_page_has_long_been_gone(idle, done):
    data, owners = checkpoints.pack(done.model), ("here", "lately", "long ago")
    owned = {owner: [given_up(idle, owner), idle.bring(owner, "mine", data)] for owner in owners}
    gone = {"lately": time.monotonic() - KEEP / 2, "long ago": time.monotonic() - KEEP - 1}
    idle._look_round(gone)
    assert idle.of("long ago") == idle.brought_by("long ago") == []
    for owner in ("here", "lately"):
        assert [*idle.of(owner), *idle.brought_by(owner)] == owned[owner]
    assert folders(idle) == {each.folder.name for each in owned["here"] + owned["lately"]}


# Threads


def threads_of(shop):
    """Those that work for a workshop now."""
    return [
        thread
        for thread in threading.enumerate()
        if getattr(getattr(thread, "_target", None), "__self__", None) is shop
    ]


def test_threads_end_when_there_is_nothing_to_do_and_begin_again(tmp_path, monkeypatch):
    monkeypatch.setattr("encoder.workshop.LOOK", 0.05)
    shop = Workshop(tmp_path, lambda owner: True)
    assert threads_of(shop) == []
    for turn in (1, 2):
        run = shop.start("somebody", LessonConfig(**QUICK, seed=turn))
        assert len(threads_of(shop)) == 2
        assert ended(run).state == "done"
        until(lambda: len(threads_of(shop)) == 1)  # somebody's page may close yet
        shop._forget(run)
        until(lambda: not threads_of(shop))
        assert folders(shop) == set()


def test_closing_ends_threads_and_processes_and_takes_no_more_lessons(tmp_path):
    shop = Workshop(tmp_path / "home", lambda owner: True)
    run = working(shop.start("one", LessonConfig(**{**QUICK, "steps": 9_000})))
    waiting = shop.start("two", LessonConfig(**QUICK))
    process = run._process
    shop.close()
    assert threads_of(shop) == []
    assert process.poll() is not None
    assert (run.state, waiting.state) == ("stopped", "stopped")
    assert not (tmp_path / "home").exists()
    with pytest.raises(KnownError, match="The server is stopping"):
        shop.start("three", LessonConfig(**QUICK))
    assert not (tmp_path / "home").exists()
    assert threads_of(shop) == []


@pytest.mark.parametrize("slow", ["write_orders", "rmtree", "Popen", "telling"])
def test_a_slow_disk_or_process_of_one_learner_keeps_nobody_waiting(slow, tmp_path, monkeypatch):
    shop = Workshop(tmp_path, lambda owner: True)
    began, go_on = threading.Event(), threading.Event()

    def slowly(work):
        def wait(*given, **more):
            if not began.is_set():
                began.set()
                assert go_on.wait(60)
            return work(*given, **more)

        return wait

    old = None
    if slow == "rmtree":
        monkeypatch.setattr("encoder.workshop.MOST", 1)
        old = ended(shop.start("slow", LessonConfig(**QUICK)))
    place = {
        "write_orders": "encoder.workshop.write_orders", "rmtree": "encoder.workshop.shutil.rmtree",
        "Popen": "encoder.workshop.subprocess.Popen", "telling": "encoder.workshop.Run._say",
    }[slow]  # fmt: skip
    owner, name = place.rsplit(".", 1)
    monkeypatch.setattr(place, slowly(getattr(pkgutil.resolve_name(owner), name)))
    config = LessonConfig(**{**QUICK, "steps": 9_000})
    started = []

    def go():
        run = shop.start("slow", config)
        started.append(run)
        if slow == "telling":
            shop.stop(working(run))

    one = threading.Thread(target=go)
    one.start()
    try:
        assert began.wait(60)
        other = shop.start("quick", LessonConfig(**QUICK))  # each of these takes the lock
        assert shop.ahead(other) < 3
        shop.pause(other)
        shop.resume(other)
        assert other in shop.of("quick")
        assert old is None or old not in shop.of("slow")
    finally:
        go_on.set()
        one.join(60)
        shop.close()
    assert len(started) == 1


def test_two_pages_of_one_learner_that_start_at_once_have_one_lesson(tmp_path, monkeypatch):
    shop, both = Workshop(tmp_path, lambda owner: True), threading.Barrier(2, timeout=60)

    def together(folder, *given):
        write_orders(folder, *given)
        both.wait()

    monkeypatch.setattr("encoder.workshop.write_orders", together)
    with ThreadPoolExecutor() as pool:
        tries = [pool.submit(shop.start, "greedy", LessonConfig(**QUICK)) for _ in range(2)]
        refused = [each for each in tries if each.exception()]
    assert [str(each.exception()) for each in refused] == ["One training of yours is under way already."]
    [run] = shop.of("greedy")
    assert folders(shop) == {run.name}
    shop.close()


def test_a_lesson_that_fails_leaves_its_traceback_unless_its_sentence_says_all(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(learn.os, "nice", lambda by: None)  # it is this process that would stay behind all others
    monkeypatch.setattr(learn.Wish, "listen", lambda wish: None)
    for trouble, logged in ((RuntimeError("out of threads"), 1), (KnownError("too short"), 0)):
        monkeypatch.setattr(learn, "Lesson", lambda folder, trouble=trouble: (_ for _ in ()).throw(trouble))
        caplog.clear()
        assert learn.run(tmp_path) == 1
        assert len([record for record in caplog.records if record.exc_info]) == logged
