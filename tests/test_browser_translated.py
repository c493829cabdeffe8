"""A browser that translates the page finds the tokens marked as not to be translated."""

import pytest

from tests.screen import PAGES, frames, settle

pytestmark = pytest.mark.browser

TEXT = "quokka zebra [MASK] quokka"
VIEWS = {
    **{name: (path, {}) for name, path in PAGES.items()},
    "Train": ("/train-live", {}),
    "Nearest": ("/token-embeddings", {"embedding_view": "nearest"}),
    "Map": ("/token-embeddings", {"embedding_view": "map"}),
    "Heat maps": ("/attention-heads", {"attention_view": "maps"}),
    "BertViz": ("/attention-heads", {"attention_view": "head"}),
    "Softmax": ("/inside-a-layer", {"step": "softmax"}),
}

# The words of a page, in shadow roots too, that may be translated; of SVG only the attribute can be asked.
OPEN = """() => {
  const roots = [document];
  for (const root of roots) roots.push(...[...root.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean));
  const words = roots.flatMap((root) => {
    const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  });
  const left = "script, style, textarea, [translate=no]";
  return words.filter((word) => word.parentElement && !word.parentElement.closest(left))
    .map((word) => word.textContent);
}"""


@pytest.mark.parametrize("view", VIEWS)
def test_tokens_and_typed_text_are_not_translated(visitor, view):
    path, query = VIEWS[view]
    page = visitor().open(path, text=TEXT, **query)
    settle(page)
    page.wait_for_function("() => !document.querySelector('[data-testid=stPlotlyChart]:not(:has(.main-svg))')")
    page.wait_for_function("() => !document.querySelector('.tokens:not([translate=no])')")
    documents = [page.main_frame, *(frame.element_handle().content_frame() for frame in frames(page).all())]
    translated = [words for document in documents for words in document.evaluate(OPEN)]
    assert translated  # the page's own sentences are
    pieces = ("quokka", "##kka", "zebra")
    assert [words for words in translated if any(piece in words for piece in pieces)] == []
    for token in ("[MASK]", "[CLS]", "[SEP]"):
        assert token not in map(str.strip, translated)


def test_numbers_tables_and_formulas_are_not_translated(visitor):
    page = visitor().open("/inside-a-layer", text=TEXT, step="softmax")
    settle(page)
    page.wait_for_function(
        "() => document.querySelector('.katex') && !document.querySelector('.katex:not([translate=no])')"
    )
    for part in (".card b", "[data-testid=stDataFrame]", "[data-testid=stSliderThumbValue]", ".katex"):
        found = page.locator(part)
        assert found.count()
        assert found.evaluate_all(
            "(all) => all.every((one) => one.closest('[translate=no].notranslate, [translate=no]'))"
        )
