"""Model folders of every kind, whose files may contradict each other: read as transformers reads them."""

import json
import os
import shutil
import sys

import pytest
import torch

from encoder import tokens
from encoder.catalogue import minilm_folder
from encoder.changes import Changes
from encoder.edits import Edit, edited
from encoder.errors import ModelError
from encoder.models import load
from encoder.tokens import read_own, read_tokenizer
from tests.tiny import SENTENCES, TEN, WORD_PIECES, edit_config, save_tiny

TEXTS = [
    *dict.fromkeys([*SENTENCES, *TEN]),
    "The café [CAT]", "[CAT] [CAT][CAT]", "naïve ÜBER Straße", "e\u0301te\u0301 Å", "ﬁne ½ ①", "İstanbul ıI",
    "中国人 the 世界你好。", "こんにちは、world", "한국어 문장", "สวัสดี", "שלום עולם", "مرحبا",
    "😀😀 🎉 a\u200db", "don't can't it's!!",
    "{mask} sat on the {mask}.", "cats{mask}dogs", "[UNK] <unk> [SEP] </s> [CLS] <s> [PAD] <pad>",
    "[unused1] ##s Ġcat ▁cat",
    "", " ", "  two  spaces\t\n tab ", "a\x00b\x07c\u200d\u200b", "\u202eab\u202c \u00a0nbsp", "x" * 300,
    "<b>&amp;</b> $5 + 3% = @#~^", "http://a.b/c?d=e&f#g 3.14 1,000", "ALL CAPS and MiXeD", "\ufffd \ufeff bom",
]  # fmt: skip
PAIRS = [(TEXTS[0], "It was warm there."), ("", "the cat"), ("the cat", " "), ("The {mask} sat.", "[SEP] 中国 [CAT]"),
         ("A b.", "é"), ("the", "")]  # fmt: skip
CAT = {
    "content": "[CAT]",
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "single_word": False,
    "special": False,
}


def minilm(folder, weights=False):
    """A copy of MiniLM's folder; its weights are a link."""
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(minilm_folder() / name, folder)
    if weights:
        os.symlink(minilm_folder() / "model.safetensors", folder / "model.safetensors")
    return folder


def change(folder, name, **changes):
    path = folder / name
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(content | changes), encoding="utf-8")


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def config(**changes):
    return lambda folder: change(folder, "tokenizer_config.json", **changes)


def backend(**changes):
    return lambda folder: change(folder, "tokenizer.json", **changes)


CASED = {
    "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "strip_accents": None,
    "lowercase": False,
}  # fmt: skip
CLASSES = (
    "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend", "DistilBertTokenizer", "ElectraTokenizerFast",
    "RobertaTokenizer", "NoSuchTokenizer",
)  # fmt: skip
CHANGES = {
    "as it is": lambda folder: None,
    "do_lower_case": config(do_lower_case=False),
    "strip_accents": config(strip_accents=False),
    "accents without lower case": config(do_lower_case=False, strip_accents=True),
    "tokenize_chinese_chars": config(tokenize_chinese_chars=False),
    "an added token": config(added_tokens_decoder={"30522": CAT}),
    "an added token at an id that is taken": config(added_tokens_decoder={"1": CAT}),
    "an added token that strips spaces": config(added_tokens_decoder={"30522": CAT | {"lstrip": True, "rstrip": True}}),
    "additional special tokens": config(additional_special_tokens=["[CAT]"]),
    "extra special tokens": config(extra_special_tokens=["[CAT]", "cat"]),
    "added_tokens.json": lambda folder: change(folder, "added_tokens.json", **{"[CAT]": 30522}),
    "other special tokens": lambda folder: change(
        folder, "special_tokens_map.json", unk_token="[unused7]", cls_token="[unused1]", sep_token="[unused2]"
    ),
    "another mask": lambda folder: change(folder, "special_tokens_map.json", mask_token="[unused5]"),
    "no special_tokens_map.json": without("special_tokens_map.json"),
    "no tokenizer.json": without("tokenizer.json"),
    "no vocab.txt": without("vocab.txt"),
    "no tokenizer_config.json": without("tokenizer_config.json"),
    "only vocab.txt": without("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    "a shorter vocab.txt": lambda folder: (folder / "vocab.txt").write_text("\n".join(WORD_PIECES)),
    "split special tokens": config(split_special_tokens=True),
    "a short model_max_length": config(model_max_length=6),
    "cut and padded": backend(
        truncation={"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Left"},
        padding={
            "strategy": {"Fixed": 9},
            "direction": "Left",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
    ),
    "no post-processor": backend(post_processor=None),
    "no normalizer": backend(normalizer=None),
    "a cased tokenizer.json": backend(normalizer=CASED),
    "bos and eos": config(bos_token="[unused3]", eos_token="[unused4]", add_bos_token=True, add_eos_token=True),
    **{kind: config(tokenizer_class=kind) for kind in CLASSES},
    "fast and without post-processor": lambda folder: (
        config(tokenizer_class="PreTrainedTokenizerFast")(folder),
        backend(post_processor=None)(folder),
    ),
    "fast, with added tokens": config(tokenizer_class="PreTrainedTokenizerFast", added_tokens_decoder={"30522": CAT}),
    "fast, with segments": config(
        tokenizer_class="PreTrainedTokenizerFast", model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    ),
    "code of its own": config(auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
}


def transformers_own(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def assert_same_ids(folder):
    ours, theirs = read_tokenizer(folder), transformers_own(folder)
    mask = theirs.mask_token or ours.mask or "[MASK]"
    for text, pair in [*((text, None) for text in TEXTS), *PAIRS]:
        text, pair = (part and part.replace("{mask}", mask) for part in (text, pair))
        other = "<mask>" if mask == "[MASK]" else "[MASK]"
        assert other not in text + (pair or ""), "which a learner may type for its own"
        expected = theirs(text, pair) if pair else theirs(text)
        if not expected["input_ids"]:
            with pytest.raises(ModelError, match="leaves no token to read"):
                ours.encode(text, pair, 1_000)
            continue
        ids, read = ours.encode(text, pair, 1_000)
        assert ids == expected["input_ids"], (text, pair)
        kinds = expected.get("token_type_ids") or [0] * len(ids)
        assert (read.segment.tolist() if ours.segments else [0] * len(ids)) == kinds, (text, pair)
        assert len(read.text) == len(read.word) == len(read.span) == len(ids)
        parts = (text, pair or "")
        assert all(
            0 <= start <= end <= len(parts[part])
            for part, (start, end) in zip(read.segment.tolist(), read.span.tolist(), strict=True)
        )


def test_there_are_enough_texts_of_every_kind():
    assert len(TEXTS) >= 40
    assert len(set(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("changed", CHANGES)
def test_ids_are_those_of_transformers_whatever_the_files_of_a_folder_say(tmp_path, changed):
    folder = minilm(tmp_path / "mini")
    CHANGES[changed](folder)
    assert_same_ids(folder)


OTHERS = {
    "as it is": {},
    "prefix space": {"add_prefix_space": True},
    "fast": {"tokenizer_class": "PreTrainedTokenizerFast"},
    "an added token": {"added_tokens_decoder": {"90": CAT}},
}


@pytest.mark.parametrize("changed", OTHERS)
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra"])
def test_ids_are_those_of_transformers_in_every_family(tmp_path, family, changed):
    folder = save_tiny(tmp_path / "tiny", family)
    change(folder, "tokenizer_config.json", **OTHERS[changed])
    assert_same_ids(folder)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A SentencePiece file, as XLM-RoBERTa and CamemBERT have."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("pieces")
    (folder / "texts.txt").write_text("\n".join([*SENTENCES, *TEN] * 5), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"), model_prefix=str(folder / "pieces"), vocab_size=60, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    return folder / "pieces.model"


@pytest.mark.parametrize("family", ["xlm-roberta", "camembert"])
def test_ids_are_those_of_transformers_where_there_is_only_a_sentencepiece_file(tmp_path, pieces, family):
    folder = save_tiny(tmp_path / "tiny", family)
    (folder / "tokenizer.json").unlink()
    shutil.copy(pieces, folder / "sentencepiece.bpe.model")
    assert_same_ids(folder)


def test_ids_are_those_of_transformers_where_there_are_only_vocabulary_and_merges(tmp_path):
    folder = save_tiny(tmp_path / "tiny", "roberta")
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    assert_same_ids(folder)


def test_the_tokenizer_of_our_own_models_is_that_of_minilm_as_transformers_reads_it():
    one, other = read_own(minilm_folder()), read_tokenizer(minilm_folder())
    for text, pair in [*((text, None) for text in TEXTS), *PAIRS]:
        assert one.encode(text, pair, 64)[0] == other.encode(text, pair, 64)[0]


# In a model


def test_a_model_reads_what_its_tokenizer_config_says(tmp_path):
    folder = minilm(tmp_path / "mini", weights=True)
    change(folder, "tokenizer_config.json", do_lower_case=False)
    text = "The café cat"
    read, theirs = load(str(folder)).trace(text).tokens, transformers_own(folder)
    assert list(read.text) == theirs.convert_ids_to_tokens(theirs(text).input_ids)
    assert read.text == ("[CLS]", "[UNK]", "[UNK]", "cat", "[SEP]")
    assert read.word.tolist() == [-1, 0, 1, 2, -1]


def test_a_token_that_was_added_without_an_embedding_is_refused_where_it_is_typed_and_only_there(tmp_path):
    folder = minilm(tmp_path / "mini", weights=True)
    change(folder, "tokenizer_config.json", added_tokens_decoder={"30522": CAT})
    model = load(str(folder))
    assert len(model.trace("the cat").tokens) == 4
    with pytest.raises(ModelError, match=r"^“\[CAT\]” is a token .* no embedding\.$"):
        model.trace("The café [CAT]")


def test_where_the_tokenizer_tells_no_segments_the_model_reads_none_as_in_transformers(tmp_path, alone):
    from transformers import AutoModel

    folder = save_tiny(tmp_path / "tiny")
    change(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    model, network = load(str(folder)), AutoModel.from_pretrained(folder).eval()
    given = transformers_own(folder)("the cat", "it was warm", return_tensors="pt")
    trace = model.trace("the cat", "it was warm")
    with torch.inference_mode():
        expected = network(**given).last_hidden_state[0]
    assert "token_type_ids" not in given
    assert trace.tokens.segment.max() == 1  # which sentence a token is of is known all the same
    assert abs(trace.output - expected.numpy()).max() <= 1e-5
    assert abs(model.what_if(Changes()).trace("the cat", "it was warm").output - expected.numpy()).max() <= 1e-5


def test_a_text_that_leaves_nothing_is_one_sentence_in_what_if_too(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    CHANGES["fast and without post-processor"](folder)
    model = load(str(folder))
    blank = edited("cat", Edit(frozenset({0}), put_in="")).text
    assert model.trace("cat").tokens.text == ("cat",)
    for ask in (model.trace, model.what_if(Changes()).trace, model.ablation):
        for text in ("\u200d", blank):
            with pytest.raises(ModelError, match=r"^This text leaves no token to read: [^.]*\.$"):
                ask(text)


# What cannot be read


def told(folder):
    with pytest.raises(ModelError) as error:
        read_tokenizer(folder)
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_a_tokenizer_that_tells_no_characters_is_named(tmp_path):
    folder = minilm(tmp_path / "mini")
    change(folder, "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer", word_tokenizer_type="basic")
    assert "(BertJapaneseTokenizer) does not tell which characters" in told(folder)
    change(folder, "tokenizer_config.json", word_tokenizer_type="mecab")  # which needs a package that is not here
    assert "(BertJapaneseTokenizer) does not tell which characters" in told(folder)


@pytest.mark.parametrize(("module", "package"), [("sentencepiece", "sentencepiece"), ("google.protobuf", "protobuf")])
def test_a_tokenizer_that_needs_a_package_names_it(tmp_path, pieces, monkeypatch, module, package):

    folder = save_tiny(tmp_path / "tiny", "xlm-roberta")
    (folder / "tokenizer.json").unlink()
    shutil.copy(pieces, folder / "sentencepiece.bpe.model")

    def missing(*_):
        raise ImportError(f"This needs {package}.")

    monkeypatch.setattr(sys.modules["transformers.convert_slow_tokenizer"], "requires_backends", missing)
    monkeypatch.setattr(tokens, "find_spec", lambda name: None if name == module else True)
    assert told(folder) == f"The tokenizer of “tiny” needs the Python package “{package}”, which is not installed here."


def test_a_damaged_sentencepiece_file_needs_no_package(tmp_path):
    folder = save_tiny(tmp_path / "tiny", "xlm-roberta")
    (folder / "tokenizer.json").unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(b"\x08nothing of that kind")
    assert told(folder) == "The folder “tiny” holds no tokenizer that can be read."


@pytest.mark.parametrize("kept", ["tokenizer_config.json", "vocab.json", "merges.txt"])
def test_a_folder_whose_tokenizer_would_be_made_up_is_refused(tmp_path, kept):
    folder = save_tiny(tmp_path / "tiny")
    (folder / "tokenizer.json").unlink()
    (folder / kept).write_text("{}")
    assert told(folder).endswith("there is no vocab.txt or tokenizer.json.")


def test_a_tokenizer_file_beyond_any_model_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "tiny")
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(2**26 + 1)
    assert "tokenizer.json is larger than that of any model (67,108,865 bytes)" in told(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "sentencepiece.bpe.model"])
def test_a_pointer_of_git_lfs_in_place_of_a_tokenizer_is_named(tmp_path, name):
    folder = save_tiny(tmp_path / "tiny")
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 466247\n")
    assert f"In “tiny”, {name} is only a pointer of Git LFS" in told(folder)


def test_why_a_tokenizer_could_not_be_read_is_in_the_log(tmp_path, caplog):
    folder = save_tiny(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{")
    sentence = told(folder)
    [record] = [record for record in caplog.records if record.getMessage() == sentence]
    assert record.exc_info
    assert "Traceback" in caplog.text


def test_a_tokenizer_with_more_special_tokens_than_positions_is_refused(tmp_path):
    folder = save_tiny(tmp_path / "tiny", max_position_embeddings=2)
    edit_config(folder, max_position_embeddings=2)
    with pytest.raises(ModelError, match=r"“tiny” has 2 positions, too few for 3 special tokens\.$"):
        load(str(folder))
