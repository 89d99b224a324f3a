"""What a folder's model expects behind every token of given texts, computed once, in float32, by torch.

Of the vocabulary only what has some probability is kept, so the readings of many texts are small, and the
model need not stay in memory while a file is held against them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genprm_sdk import wording
from genprm_sdk.backends.tokenizer import TextTokenizer
from genprm_sdk.engine.fit import available_bytes
from genprm_sdk.errors import InputError, ModelFileError
from genprm_sdk.prompt import Segment, content
from genprm_sdk.torch_engine.loading import Placement, load_model, read_config

from .threads import Check, in_thread
from .weights import Weights

__all__ = ["LOG_LEAST", "Reading", "Readings", "Verdict", "read_folder"]

LOG_LEAST = math.log(1e-4)
"""Entries that the model finds less likely are not kept."""

ROWS = 64
"""Positions whose logits are in memory together."""

_VERDICT = re.compile(
    f"(?<={re.escape(wording.VERDICT_OPENING)})(?:{'|'.join(map(re.escape, wording.VERDICT_CANDIDATES))})"
)


@dataclass(frozen=True)
class Verdict:
    """A place where a verdict is read.

    Attributes:
        position: The token behind which it is read.
        yes: The first token in which Yes differs from No.
        no: The first token in which No differs from Yes.
        score: The model's P(Yes) of these two.
    """

    position: int
    yes: int
    no: int
    score: float


@dataclass(frozen=True)
class Reading:
    """What the model expects behind each token of a text.

    Attributes:
        segments: The text.
        cut: All tokens of it.
        tokens: Those that were read, which are its first.
        ends: For each position, where its entries end.
        entries: The entries that are kept, position after position.
        logs: Their log-probabilities.
        likeliest: For each position, the likeliest entry.
        verdicts: Where verdicts are read.
    """

    segments: tuple[Segment, ...]
    cut: tuple[int, ...]
    tokens: tuple[int, ...]
    ends: NDArray[np.int64]
    entries: NDArray[np.int32]
    logs: NDArray[np.float32]
    likeliest: NDArray[np.int64]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Readings:
    """Of a folder's model.

    Attributes:
        folder: The model.
        tokenizer: Its tokenizer.
        size: Entries it tells the probabilities of.
        texts: What it was read on.
    """

    folder: Path
    tokenizer: TextTokenizer
    size: int
    texts: tuple[Reading, ...]


async def read_folder(
    folder: Path, prompts: Sequence[Sequence[Segment]], *, longest: int = 2048, device: str = "cpu"
) -> Readings:
    """Run a folder's model, of Qwen2's architecture, over texts.

    Texts are taken in Unicode's composed form, which llama.cpp leaves to its caller, and without spellings of
    special tokens in content, which engines keep apart from the tokens in different ways.

    Args:
        folder: The model, in the Hugging Face layout.
        prompts: The texts.
        longest: Tokens of a text that are read.
        device: The torch device that computes it.

    Raises:
        InputError: There is no text, no such device, or too little memory for the model in float32.
        UnknownModelError: There is no tokenizer.
        ModelFileError: The model is damaged.
    """
    if longest < 2 or not prompts:
        raise InputError("a model and its file need a text of two tokens or more to be compared on")
    return await in_thread(partial(_read, folder, prompts, longest, device))


def _read(
    folder: Path, prompts: Sequence[Sequence[Segment]], longest: int, device: str, check: Check
) -> Readings:
    config, tokenizer = read_config(folder), TextTokenizer.of_folder(folder)
    longest = min(longest, config.max_position_embeddings)
    texts = [tuple(_comparable(prompt, tokenizer)) for prompt in prompts]
    place = Placement(device=device, dtype="float32")
    place.check()
    if device == "cpu":
        _check_memory(folder)
    model, _ = load_model(folder, config, place)
    readings = []
    for text in texts:
        check()
        readings.append(_reading(folder, model, tokenizer, text, longest))
    return Readings(folder, tokenizer, config.vocab_size, tuple(readings))


def _comparable(prompt: Sequence[Segment], tokenizer: TextTokenizer) -> Iterator[Segment]:
    for segment in prompt:
        text = unicodedata.normalize("NFC", segment.text)
        if segment.kind == "content":
            for spelling in tokenizer.special:
                text = text.replace(spelling, "")
        yield Segment(segment.kind, text)


def _check_memory(folder: Path) -> None:
    with Weights(folder) as weights:
        needed = 4 * sum(math.prod(weights.shape(name)) for name in weights.names)
    free = available_bytes()
    if free is not None and needed > free:
        raise InputError(
            f"comparing {folder} with its file takes {needed / 1e9:.1f} GB for the model in float32, and "
            f"{free / 1e9:.1f} GB are free: use a larger machine, or a GPU"
        )


@torch.inference_mode()
def _reading(
    folder: Path, model: Any, tokenizer: TextTokenizer, segments: tuple[Segment, ...], longest: int
) -> Reading:
    cut = tokenizer.tokens(segments)
    tokens = cut[:longest]
    if len(tokens) < 2:
        raise InputError(f"a text of {len(tokens)} tokens says nothing about a model: leave it out")
    places = list(_verdict_places(tokenizer, segments, tokens))
    ids = torch.tensor([tokens], device=model.device)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[0]
    counts, entries, logs, likeliest = [], [], [], []
    verdicts: list[Verdict] = []
    for start in range(0, len(tokens), ROWS):
        found = torch.log_softmax(model.lm_head(hidden[start : start + ROWS]), -1).cpu()
        if not found.isfinite().all():
            raise ModelFileError(f"{folder} is damaged: the model's logits are no numbers")
        best = found.argmax(-1, keepdim=True)
        kept = (found >= LOG_LEAST).scatter(-1, best, True)
        counts.append(kept.sum(-1).numpy())
        entries.append(kept.nonzero()[:, 1].to(torch.int32).numpy())
        logs.append(found[kept].numpy())
        likeliest.append(best[:, 0].numpy())
        for position, yes, no in places:
            if start <= position < start + ROWS:
                row = found[position - start]
                verdicts.append(Verdict(position, yes, no, float(torch.sigmoid(row[yes] - row[no]))))
    return Reading(
        segments=segments,
        cut=tuple(cut),
        tokens=tuple(tokens),
        ends=np.cumsum(np.concatenate(counts)),
        entries=np.concatenate(entries),
        logs=np.concatenate(logs),
        likeliest=np.concatenate(likeliest),
        verdicts=tuple(verdicts),
    )


def _verdict_places(
    tokenizer: TextTokenizer, segments: Sequence[Segment], tokens: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """Behind which token each verdict is read, and the tokens of Yes and No that could stand there."""
    yes_text, no_text = wording.VERDICT_CANDIDATES
    for at, segment in enumerate(segments):
        for found in _VERDICT.finditer(segment.text) if segment.kind == "content" else ():
            other = no_text if found[0] == yes_text else yes_text
            turned = content(segment.text[: found.start()] + other + segment.text[found.end() :])
            others = tokenizer.tokens([*segments[:at], turned, *segments[at + 1 :]])
            pairs = enumerate(zip(tokens, others, strict=False))
            for position, (own, opposite) in pairs:
                if own != opposite:
                    yes, no = (own, opposite) if found[0] == yes_text else (opposite, own)
                    yield position - 1, yes, no
                    break
