"""One token reads another, in one head of one layer, number by number: the paper's formulas with a trace's values.

Every step computes its result anew, in NumPy, from the numbers that it shows and the model's own weights, and says how
far that is from what the model computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from encoder.formulas import Affine, LayerWeights, Norm, activated, applied, normed
from encoder.labels import visible
from encoder.maps import hidden_states
from encoder.trace import Array, LayerTrace, Trace

MOST_VALUES = 6  # value vectors that are drawn: those with the most weight


@dataclass(frozen=True)
class Place:
    """What is looked at, each from 0: `query` is the token that reads, `key` the one that is read."""

    layer: int
    head: int
    query: int
    key: int
    neuron: int


@dataclass(frozen=True)
class Strip:
    """A vector with a name, to be drawn as a row of coloured cells."""

    label: str
    values: Array  # [cell]


@dataclass(frozen=True)
class Step:
    """One line of the computation."""

    name: str
    title: str
    formula: str  # LaTeX
    sentence: str
    shapes: str
    strips: tuple[Strip, ...] = ()
    facts: tuple[tuple[str, float], ...] = ()
    shares: "Shares | None" = None
    bend: "Bend | None" = None
    difference: float | None = None  # the largest one to the model's own numbers, see `_apart`


@dataclass(frozen=True)
class Shares:
    """A softmax over one row: every token's score, its exponential, and its share of their sum. All [key]."""

    score: Array
    exponential: Array  # e to the power of the score less the largest one, which the share does not change with
    share: Array
    read: int  # the token that is looked at


@dataclass(frozen=True)
class Bend:
    """An activation function at work: [ffn] what goes in and what comes out, and the neuron that is looked at."""

    activation: str
    before: Array
    after: Array
    neuron: int


TITLES = {
    "embedding": "Embedding",
    "attention_norm": "Norm around attention",
    "projections": "Query, key and value",
    "score": "Score",
    "softmax": "Softmax",
    "context": "Weighted sum",
    "attention_output": "Heads joined",
    "after_attention": "Residual around attention",
    "ffn_norm": "Norm around feed-forward",
    "preactivation": "Feed-forward, in",
    "activation": "Activation function",
    "ffn_output": "Feed-forward, out",
    "hidden": "Residual around feed-forward",
    "final_norm": "Final norm",
}


def walk(trace: Trace, weights: LayerWeights, place: Place) -> tuple[Step, ...]:
    """All steps of one layer for one token, in the model's own order.

    trace: every token that was read. weights: of the layer at `place`.
    """
    layer = trace.layers[place.layer]
    x = hidden_states(trace)[place.layer][place.query]
    attended, middle = layer.attention_output[place.query], layer.after_attention[place.query]
    fed, hidden = layer.ffn_output[place.query], layer.hidden[place.query]
    top = weights.final_norm if place.layer == len(trace.layers) - 1 else None
    past = 1 if weights.residuals else 0  # times what came in
    steps = [_embedding(trace, weights, place)]
    attention, feed_forward = _attention(trace, weights, place), _feed_forward(layer, weights, place)
    if weights.pre_norm:
        steps += [
            *_normed("attention_norm", x, weights.attention_norm, None), *attention,
            _residual("after_attention", past * x, attended, middle),
            *_normed("ffn_norm", middle, weights.ffn_norm, None), *feed_forward,
            _residual("hidden", past * middle, fed, hidden),
        ]  # fmt: skip
        last = past * middle + fed
    else:
        steps += [
            *attention, _residual("after_attention", past * x, attended, None if weights.attention_norm else middle),
            *_normed("attention_norm", past * x + attended, weights.attention_norm, middle), *feed_forward,
            _residual("hidden", past * middle, fed, None if weights.ffn_norm else hidden),
            *_normed("ffn_norm", past * middle + fed, weights.ffn_norm, hidden),
        ]  # fmt: skip
        last = normed(past * middle + fed, weights.ffn_norm)
    return (*steps, *_normed("final_norm", last, top, trace.output[place.query]))


def _embedding(trace: Trace, weights: LayerWeights, place: Place) -> Step:
    found = trace.embedding
    token, position, segment = (each[place.query] for each in (found.token, found.position, found.segment))
    summed = token + position + segment
    output = normed(summed, weights.embedding_norm)
    parts = {"token": token, "position": position} | ({"segment": segment} if segment.any() else {})
    strips = [*(Strip(name, vector) for name, vector in parts.items()), Strip("sum", summed)]
    formula = " + ".join(rf"\mathrm{{{name}}}" for name in parts)
    sentence = "The token's own vector and its place's" + (", and its sentence's," if len(parts) > 2 else "")
    facts: tuple[tuple[str, float], ...] = ()
    if weights.embedding_norm:
        strips.append(Strip("after the norm", output))
        formula, facts = rf"\mathrm{{norm}}({formula})", _moments(summed)
    return Step(
        "embedding", TITLES["embedding"], f"x = {formula}", f"{sentence} are added up.",
        f"{len(token)} numbers each", tuple(strips), facts, difference=_apart(output, found.output[place.query]),
    )  # fmt: skip


def _attention(trace: Trace, weights: LayerWeights, place: Place) -> Iterator[Step]:
    layer, start, names = trace.layers[place.layer], hidden_states(trace)[place.layer], trace.tokens.text
    head, reads, read = place.head, place.query, place.key
    x = normed(start, weights.attention_norm) if weights.pre_norm else start  # [token, model]
    size, tokens = layer.query.shape[-1], len(x)
    q = applied(x[reads], Affine(weights.query.weight[head], weights.query.bias[head]))
    k = applied(x[read], Affine(weights.key.weight[head], weights.key.bias[head]))
    v = applied(x[read], Affine(weights.value.weight[head], weights.value.bias[head]))
    yield Step(
        "projections", TITLES["projections"], r"\begin{gathered} q = x W_Q + b_Q \\ "
        r"k = x' W_K + b_K \qquad v = x' W_V + b_V \end{gathered}",
        "The token that reads asks a question, its query. The token that is read answers with a key, and has a value "
        "to give away.",
        f"x, x′: {x.shape[-1]} numbers; q, k, v: {size} each",
        (Strip("x, reads", x[reads]), Strip("x′, is read", x[read]), Strip("query", q), Strip("key", k),
         Strip("value", v)),
        difference=max(_apart(q, layer.query[head, reads]), _apart(k, layer.key[head, read]),
                       _apart(v, layer.value[head, read])),
    )  # fmt: skip
    q, k = layer.query[head, reads], layer.key[head, read]
    products, divisor = q * k, 1 / layer.scale
    score = float(products.sum() * np.float32(layer.scale))
    row = (layer.key[head] @ q) * np.float32(layer.scale)  # [key]
    yield Step(
        "score", TITLES["score"],
        rf"s = \frac{{q \cdot k}}{{d}} = \frac{{1}}{{d}} \sum_i q_i k_i \qquad d = {divisor:.4g}",
        "Query and key are multiplied number by number and summed: the better they fit, the larger the score.",
        f"{size} products, one sum",
        (Strip("query", q), Strip("key", k), Strip("products", products)),
        (("sum of the products", float(products.sum())), ("divided by", divisor), ("score", score)),
        difference=None,  # the model keeps no scores; the softmax of them is held against its own
    )  # fmt: skip
    exponential = np.exp(row - row.max())
    share = exponential / exponential.sum()
    yield Step(
        "softmax", TITLES["softmax"],
        r"a_j = \frac{e^{s_j - m}}{\sum_{j'} e^{s_{j'} - m}} \qquad m = \max_{j'} s_{j'}",
        "The scores of all tokens become shares of 1: this is how much of each the reading token takes in.",
        f"{tokens} scores, {tokens} exponentials, {tokens} shares. The largest score m is subtracted first, so that no "
        "exponential grows too large; the shares stay the same.",
        shares=Shares(row, exponential, share, read),
        facts=(("share of the token that is read", float(share[read])), ("all shares", float(share.sum()))),
        difference=_apart(share, layer.attention[head, reads]),
    )  # fmt: skip
    share, value = layer.attention[head, reads], layer.value[head]
    context = share @ value
    most = [int(each) for each in np.argsort(-share, kind="stable")[:MOST_VALUES]]
    weighted = [
        Strip(f"{share[each]:.3f} × {each + 1} {visible(names[each], 12)}", share[each] * value[each]) for each in most
    ]
    yield Step(
        "context", TITLES["context"], r"c = \sum_j a_j v_j",
        "Each token's value counts as much as its share; their sum is what this head found.",
        f"{tokens} values of {size} numbers, one sum",
        (*weighted, Strip("sum of all", context)),
        difference=_apart(context, layer.context[head, reads]),
    )  # fmt: skip
    joined = layer.context[:, reads].reshape(-1)
    output = applied(joined, weights.output)
    yield Step(
        "attention_output", TITLES["attention_output"], r"o = [c_1; \dots; c_h]\, W_O + b_O",
        "What all heads found is laid side by side and mixed by one matrix.",
        f"{len(layer.context)} × {size} numbers, then {len(output)}",
        (Strip("all heads", joined), Strip("output", output)),
        difference=_apart(output, layer.attention_output[reads]),
    )  # fmt: skip


def _feed_forward(layer: LayerTrace, weights: LayerWeights, place: Place) -> Iterator[Step]:
    middle = layer.after_attention[place.query]
    x = normed(middle, weights.ffn_norm) if weights.pre_norm else middle
    before = applied(x, weights.expand)
    neuron = place.neuron
    yield Step(
        "preactivation", TITLES["preactivation"], r"z = x W_1 + b_1",
        "The vector is multiplied by a matrix that has one column for every neuron.",
        f"{len(x)} numbers, then {len(before):,}, one for each neuron; a neuron’s number is its column in W₁",
        (Strip("x", x), Strip("z", before)),
        ((f"neuron {neuron + 1}", float(before[neuron])),),
        difference=_apart(before, layer.preactivation[place.query]),
    )  # fmt: skip
    before = layer.preactivation[place.query]
    after = activated(before, weights.activation)
    relu = weights.activation == "relu"
    yield Step(
        "activation", TITLES["activation"],
        r"n = \max(0, z)" if relu else r"n = \mathrm{GELU}(z) = z\,\Phi(z)",
        "Each neuron is bent by itself: what is negative becomes 0." if relu
        else "Each neuron is bent by itself: far below 0 it becomes 0, far above it stays, in between it shrinks.",
        f"{len(after):,} neurons, each a point on the curve", bend=Bend(weights.activation, before, after, neuron),
        facts=((f"neuron {neuron + 1}, before", float(before[neuron])), ("after", float(after[neuron]))),
        difference=_apart(after, layer.neurons[place.query]),
    )  # fmt: skip
    neurons = layer.neurons[place.query]
    output = applied(neurons, weights.contract)
    written = neurons[neuron] * weights.contract.weight[neuron]
    yield Step(
        "ffn_output", TITLES["ffn_output"], r"o = n W_2 + b_2",
        "Every neuron writes its own row of the second matrix into the vector, as strongly as it is on.",
        f"{len(neurons):,} neurons, then {len(output)} numbers",
        (Strip("neurons", neurons), Strip(f"neuron {neuron + 1} writes", written), Strip("output", output)),
        difference=_apart(output, layer.ffn_output[place.query]),
    )  # fmt: skip


def _residual(name: str, x: Array, added: Array, model: Array | None) -> Step:
    if not x.any():
        return Step(
            name, TITLES[name], r"r = o", "This model has no residual here: what came in is lost but for the result.",
            f"{len(added)} numbers", (Strip("result", added),),
            difference=None if model is None else _apart(added, model),
        )  # fmt: skip
    summed = x + added
    return Step(
        name, TITLES[name], r"r = x + o",
        "The result is added to what came in: nothing is lost, and a layer only has to say what should change.",
        f"{len(x)} numbers each", (Strip("came in", x), Strip("added", added), Strip("sum", summed)),
        (("length of what came in", float(np.linalg.norm(x))), ("of what is added", float(np.linalg.norm(added))),
         ("of the sum", float(np.linalg.norm(summed)))),
        difference=None if model is None else _apart(summed, model),
    )  # fmt: skip


def _normed(name: str, x: Array, norm: Norm | None, model: Array | None) -> Iterator[Step]:
    """The step of a norm, where the model has it."""
    if norm is None:
        return
    centred = (x - x.mean()) / np.sqrt(x.var() + norm.eps)
    out = normed(x, norm)
    yield Step(
        name, TITLES[name], r"y = \frac{r - \mu}{\sqrt{\sigma^2 + \varepsilon}} \cdot \gamma + \beta",
        "The numbers are shifted to mean 0 and scaled to variance 1; then each has a factor γ and a shift β of its own "
        "that were learned.",
        f"{len(x)} numbers each",
        (Strip("came in", x), Strip("mean 0, variance 1", centred), Strip("γ", norm.gamma), Strip("β", norm.beta),
         Strip("after the norm", out)),
        _moments(x), difference=None if model is None else _apart(out, model),
    )  # fmt: skip


def _moments(x: Array) -> tuple[tuple[str, float], ...]:
    return ("mean", float(x.mean())), ("variance", float(x.var()))


def _apart(one: Array, other: Array) -> float:
    """The largest difference; of numbers beyond 1 as a part of the largest one, as rounding grows with them."""
    return float(abs(one - other).max() / max(1.0, abs(other).max()))
