"""Words on the pages: every explanation and example is there and used, and typed text stays text."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from encoder.catalogue import ROOT, catalogue
from encoder.labels import visible
from pages.shared.choices import CHOICES, FIRST_TEXT
from pages.shared.prose import asset, chips, plain
from tests.synthetic import HOSTILE

EXPLANATIONS = sorted(path.stem for path in ROOT.glob("assets/explain/*.md"))
PAGES = sorted(ROOT.glob("pages/*.py"))
EXAMPLES = json.loads((ROOT / "assets/examples.json").read_text(encoding="utf-8"))


def calls(path, name):
    """Every call of `….name(…)` in a source file, as (its plain positional arguments, its plain keywords)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == name:
            known = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            yield [argument.value for argument in node.args if isinstance(argument, ast.Constant)], known


def topics(path):
    """The explanations of a page: one, or, where its title names the view too, one of each view."""
    [(arguments, _)] = calls(path, "title")
    page, words = arguments[-1], path.read_text(encoding="utf-8")
    if re.search(rf'"{page}",\s+view\b', words):
        return [topic for topic in EXPLANATIONS if topic.startswith(f"{page}_")]
    return [page]


ENTRIES = [(arguments[0], words) for arguments, words in calls(ROOT / "app.py", "Page")]


# Pages


def test_the_app_lists_every_page_once():
    assert sorted(file for file, _ in ENTRIES) == [path.relative_to(ROOT).as_posix() for path in PAGES]


def test_addresses_and_titles_of_pages_are_unique_and_one_page_comes_first():
    assert (
        len({words["url_path"] for _, words in ENTRIES}) == len({words["title"] for _, words in ENTRIES}) == len(PAGES)
    )
    assert [words.get("default", False) for _, words in ENTRIES] == [True] + [False] * (len(PAGES) - 1)


@pytest.mark.parametrize(("file", "words"), ENTRIES, ids=lambda value: value if isinstance(value, str) else "")
def test_the_address_of_a_page_is_not_its_file_name(file, words):
    # Streamlit loses the frame of a deep link where they are the same.
    assert words["url_path"] != Path(file).stem
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", words["url_path"])


@pytest.mark.parametrize(("file", "words"), ENTRIES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_page_has_the_title_that_the_app_gives_it_and_an_explanation(file, words):
    [(arguments, _)] = calls(ROOT / file, "title")
    title, why, _ = arguments
    assert title == words["title"]
    assert why.endswith(".")
    assert topics(ROOT / file)
    assert set(topics(ROOT / file)) <= set(EXPLANATIONS)


VIEWED = [
    ("attention", "attention_view"), ("feed_forward", "neuron_view"), ("what_if", "what_if_view"),
    ("embeddings", "embedding_view"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "choice"), VIEWED)
def test_every_view_of_a_page_has_an_explanation_of_its_own(page, choice):
    told = {}
    for topic in topics(ROOT / f"pages/{page}.py"):
        view = topic.removeprefix(f"{page}_")
        assert CHOICES[choice].read(view) == view
        told[view] = asset(f"explain/{topic}.md").partition("**How to read it.**")[2]
        assert told[view]
    views = next(
        [key.value for key in node.value.keys]
        for node in ast.parse((ROOT / f"pages/{page}.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "VIEWS"
    )
    assert sorted(told) == sorted(views)
    assert len(set(told.values())) == len(told)


def test_the_readme_names_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [words["title"] for _, words in ENTRIES if words["title"] not in readme] == []


# Explanations and examples


def test_every_explanation_is_used():
    used = {topic for path in PAGES for topic in topics(path)}
    used |= {arguments[-1] for path in PAGES for arguments, _ in calls(path, "paragraph")}
    used |= {arguments[0] for arguments, _ in calls(ROOT / "pages/shared/sidebar.py", "_about") if arguments}
    parts = [arguments for path in ROOT.glob("pages/shared/*.py") for arguments, _ in calls(path, "asset") if arguments]
    used |= {Path(name).stem for [name] in parts if name.startswith("explain/")}
    used |= {name.replace("-", "_") for name in catalogue() if name.endswith("article")}
    assert sorted(used) == EXPLANATIONS


@pytest.mark.parametrize("topic", EXPLANATIONS)
def test_an_explanation_is_whole(topic):
    text = asset(f"explain/{topic}.md")
    assert text.strip()
    assert text.count("$$") % 2 == 0
    assert text.replace("$$", "").replace(r"\$", "").count("$") % 2 == 0
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert "TODO" not in text
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)]*)\)", text))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_explains_has_a_formula_in_words_and_in_latex_and_its_sources(path):
    for topic in topics(path):
        text = asset(f"explain/{topic}.md")
        assert "$$" in text
        assert "**In words" in text
        assert "**Sources" in text


def test_every_example_has_a_title_of_its_own_a_text_and_a_reason():
    assert len({example["title"] for example in EXAMPLES}) == len(EXAMPLES) > 0
    assert len({(example["text"], example["pair"]) for example in EXAMPLES}) == len(EXAMPLES)
    for example in EXAMPLES:
        assert set(example) == {"title", "text", "pair", "why"}
        assert all(isinstance(value, str) and value == value.strip() for value in example.values())
        assert example["title"]
        assert example["text"]
        assert example["why"].endswith(".")


def test_the_first_visit_shows_an_example():
    assert (FIRST_TEXT, "") in [(example["text"], example["pair"]) for example in EXAMPLES]


# Text that stays text

MARKDOWN = r"\`*_{}[]()<>#+-.!|~$:^=&"  # what Streamlit's Markdown gives a meaning: &amp; is an ampersand


@pytest.mark.parametrize("character", MARKDOWN)
def test_every_character_with_a_meaning_in_markdown_is_escaped(character):
    assert plain(character) == f"\\{character}"
    assert plain(f"a{character}b") == f"a\\{character}b"


@pytest.mark.parametrize(
    "text",
    [
        "# title", "1. item", "- item", "> quote", "**bold**", "__bold__", "~~gone~~", "`code`", "$x^2$",
        "$$\\frac{1}{2}$$", "[link](javascript:alert(1))", "![picture](x)", "<b>x</b>", "| a | b |", "a\n===", "[^1]",
        ":red[x]", ":smile:", ":blue-background[x]", "&lt;b&gt;", "http://example.com", "\\(x\\)",
    ],
)  # fmt: skip
def test_no_markdown_or_latex_survives_and_nothing_is_lost(text):
    escaped = plain(text)
    assert re.sub(r"\\(.)", r"\1", escaped) == text
    assert not set(re.sub(r"\\.", "", escaped)) & set(MARKDOWN)


@pytest.mark.parametrize("text", ["MiniLM", "two words", "Ünï çødé 漢 🎉", 'it\'s 100% "so"', "a, b; c? d/e @f"])
def test_ordinary_text_is_left_as_it_is(text):
    assert plain(text) == text


class Read(HTMLParser):
    """The elements and the text of a piece of HTML, as a browser reads it."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs).get("class")))

    def handle_data(self, data):
        self.texts.append(data)


def test_chips_show_hostile_tokens_as_text():
    read = Read(chips(HOSTILE, [False] * len(HOSTILE), range(len(HOSTILE))))
    assert "".join(read.texts) == "".join(map(visible, HOSTILE))
    assert read.elements == [("div", "tokens")] + [("span", "token"), ("bdi", None)] * len(HOSTILE)


def test_chips_join_the_pieces_of_a_word_and_dim_special_tokens():
    tokens = ("[CLS]", "un", "##believ", "cats", "[SEP]", "[SEP]")
    read = Read(chips(tokens, [True, False, False, False, True, True], [-1, 0, 0, 1, -1, -1]))
    kinds = [kind for tag, kind in read.elements if tag == "span"]
    assert kinds == ["token special", "token", "token joined", "token", "token special", "token special"]
    assert read.texts == list(tokens)


def test_the_first_chip_stands_alone():
    assert [kind for tag, kind in Read(chips(("##s", "##t"), [False, False], [0, 0])).elements if tag == "span"] == [
        "token", "token joined",
    ]  # fmt: skip
