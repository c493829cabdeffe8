"""Tiny random models and tokenizers, made on the spot: 3 heads, 2 layers, width 12, so that a swapped axis fails."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

from encoder.model import EncoderConfig

TINY = EncoderConfig(vocabulary=17, width=12, layers=2, heads=3, ffn_width=20, positions=7)

SENTENCES = (
    "The cat sat on the mat.",
    "It was warm there.",
    "The bank by the river, the bank with the money.",
    "Unbelievable mats!",
)
TEN = (  # to learn from
    "The cat sat on the mat.", "A dog barked at the moon.", "We walked home in the rain.", "She sings every morning.",
    "The train was late again.", "Nobody knew the answer.", "He put the key under the stone.", "Birds fly south.",
    "My brother paints old ships.", "The soup is too hot to eat.",
)  # fmt: skip
FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra")


def tiny_config(**choices: Any) -> EncoderConfig:
    return replace(TINY, **choices)


def shaken(network: nn.Module, seed: int = 0) -> Any:
    """The same network with every weight random: biases and norms as they start out (0 and 1) hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                around = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
                weight.copy_(around + 0.4 * torch.randn(weight.shape, generator=generator))
    return network.eval()


def tiny_network(family: str, **choices: Any) -> Any:
    """A random transformers model of that family, with eager attention, in evaluation mode."""
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 120, "max_position_embeddings": 40}
    if family == "distilbert":
        sizes |= {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20}
        config, network = transformers.DistilBertConfig, transformers.DistilBertModel
    else:
        sizes |= {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
        kinds = {
            "bert": (transformers.BertConfig, transformers.BertModel, {}),
            "electra": (transformers.ElectraConfig, transformers.ElectraModel, {"embedding_size": 12}),
            "roberta": (transformers.RobertaConfig, transformers.RobertaModel, {"type_vocab_size": 1}),
            "xlm-roberta": (transformers.XLMRobertaConfig, transformers.XLMRobertaModel, {"type_vocab_size": 1}),
            "camembert": (transformers.CamembertConfig, transformers.CamembertModel, {"type_vocab_size": 1}),
        }
        config, network, more = kinds[family]
        sizes |= more
    return shaken(network(config(**sizes | choices, attn_implementation="eager")), seed=7)


def tiny_tokenizer(family: str) -> Tokenizer:
    """A tokenizer of the kind that the family really has."""
    if family in ("bert", "distilbert", "electra"):
        return wordpiece()
    return byte_level() if family == "roberta" else unigram()


WORD_PIECES = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "!", "the", "cat", "sat", "on", "mat", "it", "was"),
    *("warm", "there", "bank", "by", "river", "with", "money", "un", "##believ", "##able", "##s"),
)


def wordpiece() -> Tokenizer:
    """BERT's: lower-cased words in pieces."""
    ids = {piece: number for number, piece in enumerate(WORD_PIECES)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def byte_level() -> Tokenizer:
    """RoBERTa's: pieces of bytes, spaces included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # 4 specials, the letters of the sentences and 50 merges: bytes elsewhere are not in so small an alphabet.
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = [letter for letter in pre_tokenizers.ByteLevel.alphabet() if letter in "Ãé©ðŁĺĢå"]
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*SENTENCES, "é 😀"], trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    return tokenizer


def unigram() -> Tokenizer:
    """XLM-RoBERTa's: pieces that begin with ▁ where a word begins."""
    pieces = [
        "▁the",
        "▁The",
        "▁cat",
        "▁sat",
        "▁on",
        "▁mat",
        "▁",
        "s",
        ".",
        ",",
        "▁bank",
        "▁It",
        "▁was",
        "▁warm",
        "a",
        "t",
    ]
    scored = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    scored += [(piece, -1.0 - number / 10) for number, piece in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)])
    return tokenizer


def save_tiny(folder: Path, family: str = "bert", **choices: Any) -> Path:
    """A model folder as it comes from the Hub: config.json, model.safetensors, tokenizer.json."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    tiny_network(family, **choices).save_pretrained(folder)
    tiny_tokenizer(family).save(str(folder / "tokenizer.json"))
    return folder


def save_as_it_is(tokenizer: Tokenizer, folder: Path) -> None:
    """A tokenizer that is not its family's own kind: transformers takes it as it is only where that is written down."""
    tokenizer.save(str(folder / "tokenizer.json"))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind), encoding="utf-8")


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
