"""The What if page: what is changed is said, one thing at first, and undone with a click."""

import numpy as np
import pytest

from encoder import edits
from encoder.changes import Changes, turns
from encoder.edits import Edit, edited, pairs, words
from encoder.errors import ModelError
from encoder.model import PRESETS, EncoderConfig
from encoder.models import load
from encoder.starts import noun, start
from encoder.what_if import differences
from pages.shared import changing, choices, traces
from tests.app import ask, charts, fine, half, heat_maps, html, numbers, open_page, said
from tests.tiny import tiny_config

TEXT = "The cat sat on the mat."
MASKED = "The farmer fed the [MASK] before sunrise."


def changed_now(app):
    """What the page says is changed, by the key of the button that undoes it."""
    return {each.key: each.label.replace("\\", "") for each in app.button if (each.key or "").startswith("undo")}


def undo(app, said):
    [key] = [key for key, label in changed_now(app).items() if label == said]
    return app.button(key=key).click().run()


def shown(app, side):
    """[layer, token] how far each token turns in a column's picture; None without one."""
    found = charts(app, side)
    return numbers(heat_maps(found[f"chart-{side}-1"])[0]["z"]) if found else None


# What it opens on


def test_the_page_opens_with_a_noun_masked_and_nothing_else(scratch, minilm):
    app = open_page("what_if", text=TEXT)
    assert fine(app)
    assert list(changed_now(app).values()) == ["“cat” masked"]
    assert "The [MASK] sat on the mat." in html(app)
    other = edited(TEXT, Edit(frozenset({1})))
    for side, model in (("a", scratch), ("b", minilm)):
        before, after = model.trace(TEXT), model.trace(other.text)
        expected = turns(before, after, pairs(before.tokens, after.tokens, other.moved))
        np.testing.assert_allclose(shown(app, side), expected, atol=1e-5)
    assert "changed" not in app.query_params


@pytest.mark.parametrize(
    ("text", "pair"), [(MASKED, ""), ("Where is the lantern?", "Under the [MASK]."), ("A <mask>.", "")]
)
def test_a_text_with_a_mask_gets_no_second_one_but_one_head_less(text, pair):
    app = open_page("what_if", text=text, pair=pair)
    assert fine(app)
    assert "<span>Now:</span>" not in html(app)
    expected = []
    for side, where, name in (("a", "Left", "scratch"), ("b", "Right", "minilm")):
        model = load(name)
        read = model.trace(text, pair or None)
        place = start(read)
        expected.append(f"{where}: layer {place.layer + 1}, head {place.head + 1} off")
        after = model.what_if(Changes(frozenset({(place.layer, place.head)}))).trace(text, pair or None)
        np.testing.assert_allclose(shown(app, side), turns(read, after), atol=1e-5)
    assert list(changed_now(app).values()) == [*expected, "Undo everything"]


def test_our_example_gives_way_to_the_first_change_so_that_nothing_is_mixed():
    app = open_page("what_if", text=TEXT)
    app.multiselect(key="pick.off").set_value(["2.3"]).run()
    assert fine(app)
    assert list(changed_now(app).values()) == ["Left: layer 2, head 3 off"]
    assert app.query_params["changed"] == ""
    assert "Nothing is changed here" in said(half(app, "b"))
    for address in ({"off_b": "2.3"}, {"without": "norms"}, {"shuffled": "1"}, {"scaled": "1.7"}):
        app = open_page("what_if", text=TEXT, **address)
        assert fine(app)
        assert not any("masked" in label for label in changed_now(app).values())
        assert changed_now(app)


def test_what_is_put_in_its_place_goes_into_our_example():
    app = open_page("what_if", text=TEXT)
    app.text_input(key="pick.put_in").set_value("dog").run()
    assert list(changed_now(app).values()) == ["“cat” replaced by “dog”"]
    assert "The dog sat on the mat." in html(app)
    app.text_input(key="pick.put_in").set_value("cat").run()
    assert fine(app)
    assert changed_now(app) == {}, "a word in its own place is no change"
    assert "Nothing is changed here" in said(half(app, "a"))
    app.text_input(key="pick.put_in").set_value("").run()
    assert list(changed_now(app).values()) == ["“cat” left out"]


def test_one_sides_head_of_our_example_is_undone_and_the_other_stays():
    app = open_page("what_if", text=MASKED)
    left, right, _ = changed_now(app).values()
    undo(app, left)
    assert fine(app)
    assert list(changed_now(app).values()) == [right]
    app.text_area(key="pick.text").set_value(TEXT).run()
    assert list(changed_now(app).values()) == [right], "nothing moves unasked"


def test_who_has_undone_our_example_sees_none_in_the_next_text():
    app = undo(open_page("what_if", text=TEXT), "“cat” masked")
    assert changed_now(app) == {}
    ask(app, "The dog slept.")
    assert fine(app)
    assert changed_now(app) == {}
    fresh = ask(open_page("what_if", text=TEXT), "The dog slept.")
    assert list(changed_now(fresh).values()) == ["“dog” masked"], "until somebody changes anything"


# What is changed


def test_everything_that_is_changed_is_said_and_undone_one_by_one():
    address = {"changed": "1-5", "shuffled": "1", "without": "positions-norms", "off": "1.2-3.0", "scaled_b": "1.7",
               "factor_b": "2.0"}  # fmt: skip
    app = open_page("what_if", text=TEXT, **address)
    assert fine(app)
    every = ["“cat” masked", "“mat” masked", "words shuffled", "without positions", "without norms in the layers",
             "Left: layer 1, head 2 off", "Left: layer 3, all heads off", "Right: layer 1, neuron 7 twice"]  # fmt: skip
    assert list(changed_now(app).values()) == [*every, "Undo everything"]
    for number, each in enumerate(every, 1):
        undo(app, each)
        assert fine(app)
        rest = every[number:]
        assert [label for label in changed_now(app).values() if label != "Undo everything"] == rest
    for side in "ab":
        assert "Nothing is changed here" in said(half(app, side))
    app = undo(open_page("what_if", text=TEXT, **address), "Undo everything")
    assert changed_now(app) == {}
    assert set(app.query_params) <= {"text", "changed", "factor_b"}


def test_very_many_changes_of_one_kind_have_one_button():
    app = open_page("what_if", text="One two three four five six.", changed="0-1-2-3-4-5", off="1.1-1.2-1.3-1.4-2.1")
    assert list(changed_now(app).values()) == ["6 words masked", "Left: 5 heads off", "Undo everything"]
    undo(app, "6 words masked")
    assert list(changed_now(app).values()) == ["Left: 5 heads off"]


def test_what_a_model_is_without_already_is_no_change():
    app = open_page("what_if", text=TEXT, without="norms", a="second-article", changed="")
    assert fine(app)
    assert "encoder has none of what is left out" in said(half(app, "a"))
    assert list(changed_now(app).values()) == ["without norms in the layers"]  # of the other
    app = open_page("what_if", text=TEXT, without="norms", a="second-article", b="second-article", changed="")
    assert changed_now(app) == {}


def test_what_leaves_nothing_to_read_is_said_and_can_be_undone(monkeypatch):
    def none(side, changes, edit=None):
        if changes.choices:
            raise ModelError("The scores in layer 2 are so large that rounding decides.")
        return real(side, changes, edit or Edit())

    real = traces.what_if
    monkeypatch.setattr(traces, "what_if", none)
    for page, address in (("what_if", {"without": "residuals-norms"}), ("step_by_step", {"flip_norm": "none"})):
        app = open_page(page, text=TEXT, **address)
        assert fine(app)
        assert "rounding decides" in said(half(app, "a"))
    assert "Flip a choice (1 flipped)" in str([each.proto for each in app.main])
    app = open_page("what_if", text=TEXT, without="residuals-norms")
    undo(undo(app, "without residuals"), "without norms in the layers")
    assert fine(app)
    assert "rounding decides" not in said(app.main)


def test_a_word_that_would_be_code_is_said_as_text():
    app = open_page("what_if", text="**bold** <b>x</b> $y$", changed="0-1", put_in=":red[x]")
    assert fine(app)
    for button in app.button:
        if (button.key or "").startswith("undo-"):
            assert ":red[" not in button.label


# Flips


@pytest.mark.parametrize("name", choices.FLIPS)
def test_flipping_to_what_a_model_has_already_is_no_flip(name):
    own = {"score_scale": "sqrt_head_dim", "norm": "pre", "shared_projections": "full", "activation": "gelu"}[name]
    app = open_page("step_by_step", text=TEXT, **{f"flip_{name}": own})
    assert fine(app)
    box = app.selectbox(key=f"pick.flip_{name}")
    assert "flipped)" not in str([each.proto for each in app.main])
    assert "What is flipped" not in said(app.main)
    title = changing.WORDS[name][1][own]
    assert [option for option in box.options if "already so" in option] == [f"{title} · already so"]
    other = next(value for value in choices.FLIPS[name] if value != own)
    app = open_page("step_by_step", text=TEXT, **{f"flip_{name}": other})
    assert "Flip a choice (1 flipped)" in str([each.proto for each in app.main])
    assert "What is flipped" in said(half(app, "a"))


def test_of_two_encoders_from_scratch_the_one_that_is_so_already_is_not_flipped():
    app = open_page("step_by_step", text=TEXT, flip_norm="none", b="second-article")
    assert fine(app)
    assert "none (second article) · already so on the right" in app.selectbox(key="pick.flip_norm").options
    assert "What is flipped" in said(half(app, "a"))
    assert "What is flipped" not in said(half(app, "b"))
    assert "Flip a choice (1 flipped)" in str([each.proto for each in app.main])


@pytest.mark.parametrize("config", [EncoderConfig(), *PRESETS.values(), tiny_config(heads=1)], ids=lambda config: "")
def test_a_choice_is_a_difference_only_where_it_makes_another_encoder(config):
    for name, options in choices.FLIPS.items():
        for value in options.values():
            assert differences(config, ((name, getattr(config, name)),)) == ()
            wanted = getattr(config, name) != value and not (
                config.heads == 1 and name in ("score_scale", "shared_projections")
            )
            assert bool(differences(config, ((name, value),))) == wanted


# Words


@pytest.mark.parametrize(
    ("text", "edit", "wanted"),
    [
        ("The cat sat.", Edit(frozenset({1}), "cat"), Edit(frozenset(), "cat")),
        ("The cat sat.", Edit(frozenset({1, 2, 9}), "cat"), Edit(frozenset({2}), "cat")),
        ("A [MASK].", Edit(frozenset({1})), Edit()),
        ("Alone", Edit(shuffled=True), Edit()),
        ("One two three four", Edit(shuffled=True), Edit(shuffled=True)),
    ],
)
def test_an_edit_that_leaves_the_text_as_it_is_is_none(text, edit, wanted):
    assert edits.real(text, edit) == wanted
    assert bool(wanted) == (edited(text, edit).text != text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The cat sat on the mat because it was tired.", "cat"), ("Rain fell on my roof.", "roof"),
        ("Rain fell.", "Rain"), ("It is.", None), ("...", None), ("", None), ("“The” dog", "dog"),
    ],
)  # fmt: skip
def test_the_noun_of_a_text_is_found_without_a_model(text, word):
    place = noun(text)
    assert (None if place is None else text[slice(*words(text)[place])]) == word
