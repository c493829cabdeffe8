"""On the narrowest screen, 390 pixels: no word of a picture is cut, and none runs into another."""

import pytest

from tests.screen import chart, settle

pytestmark = pytest.mark.browser

TEXT = "She put the old guitar under the bed because it was broken."  # 13 tokens
MASKED = "She put the old [MASK] under the bed because it was broken."
LONG = " ".join([TEXT] * 4)
BANKS = "\n".join(f"Number {number} of all the tall buildings is a bank in the town." for number in range(1, 9))

# What a picture writes: in the charts, not in their tool bars. Boxes are [left, right, top, bottom].
WORDS = """(chart) => [...chart.querySelectorAll(".main-svg text")]
  .filter((word) => word.textContent.trim() && getComputedStyle(word).visibility !== "hidden")
  .map((word) => {
    const { left, right, top, bottom } = word.getBoundingClientRect();
    return [word.textContent, left, right, top, bottom];
  })"""
INSIDE = """(chart) => [...chart.querySelectorAll(".textpoint text")]
  .filter((word) => word.textContent.trim())
  .map((word) => {
    const { left, right, top, bottom } = word.getBoundingClientRect();
    return [word.textContent, left, right, top, bottom];
  })"""


@pytest.fixture(scope="module")
def phone(browser, app):
    from tests.screen import Visitor

    guest = Visitor(browser, app.url, phone=True)
    yield guest
    guest.close()


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/token-embeddings", {"embedding_view": "sum", "text": TEXT}),
        ("/token-embeddings", {"embedding_view": "similarity", "text": TEXT}),
        ("/token-embeddings", {"embedding_view": "map", "text": LONG}),
        ("/token-embeddings", {"embedding_view": "path", "text": LONG}),
        ("/token-embeddings", {"embedding_view": "elsewhere", "elsewhere": BANKS, "word": "bank"}),
        ("/token-embeddings", {"embedding_view": "corpus"}),
        ("/all-layers", {"text": MASKED}),
        ("/all-layers", {"text": TEXT, "quantity": "size"}),
        ("/all-layers", {"text": TEXT, "quantity": "entropy"}),
    ],
    ids=lambda value: "-".join(list(value.values())[:1])[:12] if isinstance(value, dict) else "",
)
def test_on_a_phone_no_word_of_a_picture_is_cut_and_none_in_it_covers_another(phone, path, query):
    page = phone.open(path, **query)
    settle(page)
    for side in "ab":
        drawing = chart(page, side, 1)
        drawing.wait_for()
        box = drawing.bounding_box()
        words = drawing.evaluate(WORDS)
        assert words
        for word, left, right, *_ in words:
            assert box["x"] - 1 <= left, word
            assert right <= box["x"] + box["width"] + 1, word
        inside = drawing.evaluate(INSIDE)
        for number, (word, left, right, top, bottom) in enumerate(inside):
            for other, its_left, its_right, its_top, its_bottom in inside[:number]:
                apart = left >= its_right - 1 or right <= its_left + 1 or top >= its_bottom - 3 or bottom <= its_top + 3
                assert apart, (word, other)
    page.close()


def test_on_a_phone_every_row_and_column_of_a_short_text_has_its_name(phone):
    for query in ({"quantity": "size"}, {"quantity": "change"}):
        page = phone.open("/all-layers", text=TEXT, **query)
        settle(page)
        drawing = chart(page, "b", 1)
        drawing.locator(".heatmaplayer image").wait_for()
        rows, columns = drawing.locator(".ytick text").count(), drawing.locator(".xtick text").count()
        assert rows == 6 + (query["quantity"] == "size")
        assert columns == len(TEXT.rstrip(".").split()) + 3  # [CLS], the full stop and [SEP]
        page.close()
