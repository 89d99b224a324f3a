"""A small byte-level BPE vocabulary that llama.cpp reads as a Qwen2 tokenizer.

A verifier copies what it reads into code, so a text must be the same tokens wherever it stands. Merges are
therefore learnt inside runs of letters alone: a bracket, a comma or a digit is always one token, and a word
is cut the same way behind a space, a quote or a line's start. What often follows a space then gets a second
token that takes the space in; as these merges come last, they change no other cut.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

__all__ = ["CHAT_TEMPLATE", "SPECIAL_TOKENS", "load_tokenizer", "tokenizer_of_pieces", "train_tokenizer"]

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WITH_SPACE = 200
LEAST = len(SPECIAL_TOKENS) + 256
"""Without a single merge, there is a token for each byte."""

SPACE = "Ġ"
"""How byte-level BPE spells a space."""


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train_tokenizer(texts: Iterable[str], vocabulary: int, spaced: int = WITH_SPACE) -> Tokenizer:
    """Learn merges from texts.

    Args:
        texts: Samples of everything the model will read and write.
        vocabulary: Number of tokens, the special ones and those with a space included.
        spaced: Frequent words and marks that get a second token together with the space before them; in a
            small vocabulary words begin with fewer different pieces, and what is left goes to merges.

    Raises:
        ValueError: The texts do not hold so many different pieces, or there is no room for every byte.
    """
    if vocabulary < LEAST:
        raise ValueError(f"a vocabulary has at least {LEAST} tokens, not {vocabulary}")
    texts = list(texts)
    spaced = min(spaced, vocabulary - LEAST)
    while True:
        learner = _learnt(texts, vocabulary - spaced)
        pieces = _frequent_first_pieces(learner, texts, spaced)
        if len(pieces) == spaced:
            break
        spaced = len(pieces)
    state = json.loads(learner.to_str())
    vocab: dict[str, int] = state["model"]["vocab"]
    merges: list[list[str]] = state["model"]["merges"]
    for word in pieces:
        vocab[SPACE + word] = len(vocab)
        merges.append([SPACE, word])
    if len(vocab) != vocabulary:
        raise ValueError(
            f"the texts give {len(vocab)} tokens, not {vocabulary}: take a smaller vocabulary or more texts"
        )
    return _finished(Tokenizer.from_str(json.dumps(state)))


def _learnt(texts: list[str], size: int) -> Tokenizer:
    """Bytes, and merges inside runs of letters and of spaces."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\p{L}+|\n+| +|[^\p{L}\n ]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return learner


def tokenizer_of_pieces(tokens: Sequence[str], merges: Sequence[str]) -> Tokenizer:
    """The tokenizer of a model file, from its tokens by number and its merges in order, parts a space apart.

    Raises:
        ValueError: The special tokens do not come first, or a merge is no pair.
    """
    if tuple(tokens[: len(SPECIAL_TOKENS)]) != SPECIAL_TOKENS:
        raise ValueError(f"the vocabulary does not begin with {', '.join(SPECIAL_TOKENS)}")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("a merge is no pair")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[(pair[0], pair[-1]) for pair in pairs]))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return _finished(tokenizer)


def _finished(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = _pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.encode_special_tokens = True  # in text they are text
    return tokenizer


def _frequent_first_pieces(learner: Tokenizer, texts: list[str], count: int) -> list[str]:
    """What most often stands behind a space: the first piece of a word, or a mark of punctuation."""
    words = Counter(
        word for text in texts for word in re.findall(r"(?<= )(?:[A-Za-z]+|[!-/:-@[-`{-~])", text)
    )
    pieces: Counter[str] = Counter()
    for word, times in words.items():
        pieces[learner.encode(word, add_special_tokens=False).tokens[0]] += times
    return [piece for piece, _ in pieces.most_common(count)]


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer that ``Tokenizer.save`` wrote."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True  # in text they are text; this flag is not saved
    return tokenizer
