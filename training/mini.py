"""The recipe of ``genprm-mini``: from a seed to a GGUF file, resumable, on two CPU cores.

    python -m genprm_sdk.training.mini --out build/genprm-mini

trains the vocabulary and the model on generated worlds and exports ``genprm-mini.gguf``. Run it again after
an interruption and it goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from .dataset import Mix, Row, choose_step, encode_step, example_texts
from .export import VerifierCard, export_verifier
from .sft import Shape, TrainSettings, load_weights, train
from .tokenizer import load_tokenizer, train_tokenizer
from .worlds import WORLDS

__all__ = ["GENPRM_MINI", "Recipe", "reproduce"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights.

    Attributes:
        vocabulary: Tokens, special ones included.
        vocabulary_examples: Examples of each world that the vocabulary is learnt from.
        shares: How often each world is drawn.
        shape: Sizes of the model.
        settings: Length and rates of the training.
    """

    vocabulary: int
    vocabulary_examples: int
    shares: dict[str, float]
    shape: Shape
    settings: TrainSettings


GENPRM_MINI = Recipe(
    vocabulary=768,
    vocabulary_examples=1500,
    shares={"arithmetic": 0.6, "word_problems": 0.4},
    shape=Shape(vocabulary=768, width=192, layers=4, heads=6, key_value_heads=3, feed_forward=768),
    settings=TrainSettings(
        steps=12_000,
        tokens=2560,
        first_longest=384,
        lengthening=2000,
        matrix_rate=0.02,
        other_rate=0.003,
        decay_from=1500,
    ),
)


def tokenizer_of(recipe: Recipe, folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.exists():
        rng = random.Random(f"{recipe.settings.seed}/vocabulary")
        texts = [
            text
            for _ in range(recipe.vocabulary_examples)
            for name in recipe.shares
            for text in example_texts(WORLDS[name].example(rng), rng)
        ]
        tokenizer = train_tokenizer(texts, recipe.vocabulary)
        tokenizer.save(str(path.with_suffix(".part")))
        path.with_suffix(".part").replace(path)
    return load_tokenizer(path)


def reproduce(recipe: Recipe, folder: Path, threads: int | None = None) -> Path:
    """Train, or go on training, and export; returns the GGUF file.

    Args:
        recipe: What to train.
        folder: Where vocabulary, checkpoint and result lie; a run resumes from it.
        threads: CPU threads; None leaves torch's own choice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(recipe, folder)
    worlds, shares = list(recipe.shares), list(recipe.shares.values())
    mix = Mix()

    def draw(rng: random.Random) -> Row:
        example = WORLDS[rng.choices(worlds, shares)[0]].example(rng)
        return encode_step(example, choose_step(example, rng), tokenizer, mix, rng)

    checkpoint = folder / "checkpoint.pt"
    for progress in train(recipe.shape, draw, recipe.settings, checkpoint, threads):
        sys.stderr.write(
            f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}"
            f"  {progress.tokens_per_second:,.0f} tokens/s  {progress.seconds_left / 60:.0f} min left\n"
        )
        sys.stderr.flush()
    result = folder / "genprm-mini.gguf"
    card = VerifierCard(name="genprm-mini", domains=tuple(worlds))
    export_verifier(load_weights(recipe.shape, checkpoint), recipe.shape, tokenizer, card, result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Train genprm-mini and export it.")
    parser.add_argument("--out", type=Path, default=Path("build/genprm-mini"))
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    path = reproduce(GENPRM_MINI, arguments.out, arguments.threads)
    sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
