"""Two models' steps in rows: nothing is lost, and each keeps its own order."""

from itertools import product

import pytest

from encoder.alignment import KEYS, absence, find, rows
from encoder.steps import TITLES

ATTENTION = ["projections", "score", "softmax", "context", "attention_output", "after_attention"]
FEED_FORWARD = ["preactivation", "activation", "ffn_output", "hidden"]
ORDERS = {
    "pre": ["embedding", "attention_norm", *ATTENTION, "ffn_norm", *FEED_FORWARD],
    "pre, on top": ["embedding", "attention_norm", *ATTENTION, "ffn_norm", *FEED_FORWARD, "final_norm"],
    "post": ["embedding", *ATTENTION, "attention_norm", *FEED_FORWARD, "ffn_norm"],
    "post, on top": ["embedding", *ATTENTION, "attention_norm", *FEED_FORWARD, "ffn_norm", "final_norm"],
    "none": ["embedding", *ATTENTION, *FEED_FORWARD],
    "none, on top": ["embedding", *ATTENTION, *FEED_FORWARD, "final_norm"],
}


@pytest.mark.parametrize(("one", "other"), list(product(ORDERS, ORDERS)))
def test_every_step_of_both_models_has_one_row_in_its_own_order(one, other):
    orders = ORDERS[one], ORDERS[other]
    found = rows(orders, "softmax")
    for side, order in enumerate(orders):
        assert [row.places[side] for row in found if row.places[side] is not None] == list(range(len(order)))
    for row in found:
        for place, order in zip(row.places, orders, strict=True):
            assert place is None or order[place] == row.name
    together = [row.name for row in found if None not in row.places]
    assert {"embedding", *ATTENTION, *FEED_FORWARD} <= set(together)
    if one == other:
        assert together == orders[0]
    keys = [row.key for row in found]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= set(KEYS)
    assert [find(found, key) for key in keys] == list(range(len(keys)))


def test_norms_before_and_after_stand_where_each_model_takes_them_whichever_side_it_is_on():
    pre, post = ORDERS["pre"], ORDERS["post"]
    names = [row.name for row in rows((pre, post), "softmax")]
    assert names == [
        "embedding", "attention_norm", *ATTENTION, "attention_norm", "ffn_norm", *FEED_FORWARD, "ffn_norm",
    ]  # fmt: skip
    assert names == [row.name for row in rows((post, pre), "softmax")]
    keys = [row.key for row in rows((pre, post), "softmax")]
    assert [keys[1], keys[8], keys[9], keys[-1]] == ["attention_norm", "attention_norm_b", "ffn_norm", "ffn_norm_b"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("chosen", [("pre", "post"), ("none", "post"), ("pre",), ("none",), ("none", "none")])
def test_every_key_opens_a_row_of_its_step(key, chosen):
    found = rows([ORDERS[name] for name in chosen], key)
    assert found[find(found, key)].name == key.removesuffix("_b")


def test_a_step_that_no_model_has_stands_where_the_others_have_it():
    assert rows([ORDERS["pre"]], "final_norm")[-1] == ("final_norm", "final_norm", (None,))
    found = rows([ORDERS["none"], ORDERS["none"]], "attention_norm")
    assert [row.name for row in found][:3] == ["embedding", "attention_norm", "projections"]


def test_why_a_model_has_no_step_is_said_with_where_it_has_it():
    assert absence("attention_norm", ORDERS["post"]) == "normalises after the sum around attention, in its step 8"
    assert absence("attention_norm", ORDERS["pre"]) == "normalises before attention, in its step 2"
    assert (
        absence("ffn_norm", ORDERS["post"]) == "normalises after the sum around the feed-forward block, in its step 13"
    )
    assert absence("ffn_norm", ORDERS["pre"]) == "normalises before the feed-forward block, in its step 9"
    assert absence("ffn_norm", ORDERS["none"]) == "has no norms inside its layers"
    assert absence("final_norm", ORDERS["pre"]) == "has no norm after this layer"
    absent = {row.name for one, other in product(ORDERS.values(), repeat=2) for row in rows((one, other), "softmax")
              if None in row.places}  # fmt: skip
    assert absent == {name for name in TITLES if name.endswith("norm")}, "a sentence for each"
