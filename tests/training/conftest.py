"""What the tests of training share: a vocabulary learnt once, and torch on one thread."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch
from tokenizers import Tokenizer

from genprm_sdk.training.dataset import example_texts
from genprm_sdk.training.tokenizer import train_tokenizer
from genprm_sdk.training.worlds import WORLDS


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A vocabulary from a few hundred examples: large enough that words are merged."""
    rng = random.Random("vocabulary")
    worlds = list(WORLDS.values())
    texts = [text for _ in range(120) for world in worlds for text in example_texts(world.example(rng), rng)]
    return train_tokenizer(texts, 768)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums depend on the number of threads, and more than one would fight over the machine's few cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
