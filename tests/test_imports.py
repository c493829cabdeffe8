"""Imports flow one way: encoder ← pages/shared ← pages ← app.py, and what is light stays light."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, version

import pytest

from encoder import figures
from encoder.catalogue import ROOT

HEAVY = ("torch", "transformers", "streamlit", "plotly")


def rooms():
    """(source file, names it must never import), one for every file that has such a rule."""
    for path in sorted(ROOT.glob("encoder/**/*.py")):
        yield path, ("streamlit", "pages", "app", "tests")
        place = path.relative_to(ROOT / "encoder").as_posix()
        if place.startswith(("figures/", "measures")):
            yield path, ("torch", "transformers", "encoder.model", "encoder.models", "encoder.reading", "encoder.bert")
        else:
            yield path, ("plotly",)
    for path in [*sorted(ROOT.glob("pages/**/*.py")), ROOT / "app.py"]:
        if path.exists():
            yield path, ("torch", "transformers", "plotly", "tests")
    for path in sorted(ROOT.glob("pages/*.py")):
        yield path, ("app",)
    for path in sorted(ROOT.glob("pages/shared/**/*.py")):
        yield path, ("app", *(f"pages.{page.stem}" for page in ROOT.glob("pages/*.py") if page.stem != "__init__"))


def imported(path):
    """Every module that a file names in an import, wherever in the file: `from a import b` names a and a.b."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("path", "never"), list(rooms()), ids=lambda value: getattr(value, "name", None))
def test_a_room_imports_only_what_it_may(path, never):
    wrong = {name for name in imported(path) for other in never if name == other or name.startswith(f"{other}.")}
    assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("page", sorted(ROOT.glob("pages/*.py")), ids=lambda path: path.stem)
def test_a_page_imports_of_the_encoder_only_what_the_guide_allows(page):
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in guide if line.startswith("| `pages/*.py` |")]
    allowed = {"encoder", *(f"encoder.{name}" for name in re.findall(r"`(\w+)`", row))}
    rooms = {".".join(name.split(".")[:2]) for name in imported(page) if name.split(".")[0] == "encoder"}
    assert rooms <= allowed


def test_the_rule_sees_every_way_of_importing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    room = tmp_path / "encoder" / "figures"
    room.mkdir(parents=True)
    source = "import a.b as c\nfrom d import e\nfrom . import f\nfrom .. import g\ndef h():\n    from ..i import j\n"
    (room / "one.py").write_text(source)
    expected = {
        "a.b",
        "d",
        "d.e",
        "encoder.figures",
        "encoder.figures.f",
        "encoder",
        "encoder.g",
        "encoder.i",
        "encoder.i.j",
    }
    assert set(imported(room / "one.py")) == expected


def requirements():
    """(distribution, the rest of the line) of everything in requirements.txt, by its normalised name."""
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition("==")
            yield re.sub(r"[-_.]+", "-", name).lower(), rest


def test_everything_that_is_imported_is_pinned_with_a_reason():
    pinned = dict(requirements())
    assert all(re.fullmatch(r"\S+ +# \w.*", rest) for rest in pinned.values())
    assert {name: rest.split()[0] for name, rest in pinned.items()} == {
        name: version(name).split("+")[0] for name in pinned
    }
    sources = [ROOT / "app.py", *ROOT.glob("encoder/**/*.py"), *ROOT.glob("pages/**/*.py")]
    modules = {name.split(".")[0] for path in sources for name in imported(path)}
    foreign = modules - sys.stdlib_module_names - {"app", "encoder", "pages", "__future__"}
    owners = packages_distributions()
    missing = {
        module
        for module in foreign
        if not {re.sub(r"[-_.]+", "-", each).lower() for each in owners.get(module, [module])} & pinned.keys()
    }
    assert not missing, f"not in requirements.txt: {', '.join(sorted(missing))}"


def loaded_by(*modules):
    """Which of the heavy libraries a fresh process has loaded after importing these."""
    script = f"import sys\nfor name in {modules!r}: __import__(name)\nprint(*({HEAVY!r} & sys.modules.keys()))"
    script = script.replace(repr(HEAVY), repr(set(HEAVY)))
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_every_page_needs_first_loads_nothing_heavy():
    assert loaded_by("encoder", "encoder.catalogue", "encoder.errors", "encoder.trace", "encoder.hub") == set()


def test_figures_and_measures_load_no_torch():
    found = [
        *ROOT.glob("encoder/figures/*.py"),
        *ROOT.glob("encoder/measures*.py"),
        *ROOT.glob("encoder/measures/*.py"),
    ]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found if path.stem != "__init__"]
    assert loaded_by(*names) <= {"plotly"}


def test_pictures_are_there_for_whoever_imports_their_room():
    assert figures.heads.layer_names(2) == ["layer 1", "layer 2"]
    with pytest.raises(AttributeError, match="“sculptures”"):
        _ = figures.sculptures


def test_from_scratch_means_without_transformers():
    assert "transformers" not in loaded_by("encoder.model", "encoder.models", "encoder.tokens", "encoder.__main__")
