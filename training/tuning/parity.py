"""Does a GGUF file compute what its folder's model computes?

Both cut the same texts into tokens, and both say what they expect behind every token. Knows how far a type of
weights may be off, and that what is further off is a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from genprm_sdk.backends.logits import log_probabilities
from genprm_sdk.engine.context import Context, Row, Setup
from genprm_sdk.engine.fit import cache_bytes_per_token, check_memory, worthwhile_threads
from genprm_sdk.errors import BackendError, ModelFileError
from genprm_sdk.models import read_gguf_metadata
from genprm_sdk.models.facts import read_facts
from genprm_sdk.prompt import Segment

from .readings import LOG_LEAST, Reading, Readings, read_folder
from .threads import Check, in_thread

__all__ = ["LEAST_AGREEMENT", "TOLERANCES", "Parity", "ParityError", "compare", "parity"]

TOLERANCES = {"F32": 5e-4, "F16": 0.01, "BF16": 0.1, "Q8_0": 0.3}
"""How far log-probabilities may be off on average, by type. A fine-tuned bundled verifier's are off by
0.000004, 0.002, 0.02 and 0.11; smaller types have no such bound, only ``LEAST_AGREEMENT``."""

OUTLIER = 20
"""A single log-probability may be off by so many times as much."""

LEAST_AGREEMENT = 0.9
"""Share of positions at which a file of a smaller type must find the same token likeliest."""

MORE_EXACT = {
    "F32": "no type is more exact: make sure that the model's folder is whole and of Qwen2's architecture",
    "F16": "ask for bf16, q8_0 or f32 instead",
    "BF16": "ask for f32 instead",
    "Q8_0": "ask for f16 instead",
}
"""What to do about a file of a type that is too far off."""

MORE_EXACT_THAN_SMALL = "ask for f16, q8_0 or a larger quantisation instead"

CACHE = "f32"
ROWS = 128
"""Positions whose logits are in memory together."""


@dataclass(frozen=True)
class Parity:
    """How far a file is from its folder's model.

    Attributes:
        texts: Texts they were compared on.
        positions: Tokens in them.
        largest: The largest difference of a log-probability, of entries that the folder's model finds at
            least 0.0001 likely; what it finds less likely counts from there.
        mean: The mean difference of those entries.
        agreement: Share of positions at which both find the same token likeliest.
        verdicts: Verdicts among the positions.
        largest_verdict: The largest difference of P(Yes) at one of these, or None where there is none.
        tolerance: What ``mean`` may be, and ``largest`` so many times as much as ``OUTLIER`` says; None where
            only ``agreement`` counts.
    """

    texts: int
    positions: int
    largest: float
    mean: float
    agreement: float
    verdicts: int
    largest_verdict: float | None
    tolerance: float | None


class ParityError(ModelFileError):
    """A file differs from its folder's model by more than is allowed.

    Attributes:
        found: By how much.
    """

    def __init__(self, message: str, found: Parity) -> None:
        super().__init__(message)
        self.found = found


@dataclass
class _Sums:
    positions: int = 0
    entries: int = 0
    agreeing: int = 0
    sum: float = 0.0
    largest: float = 0.0


async def parity(
    folder: Path,
    file: Path,
    prompts: Sequence[Sequence[Segment]],
    *,
    tolerance: float | None = None,
    longest: int = 2048,
    device: str = "cpu",
    threads: int | None = None,
) -> Parity:
    """Compare a file with the folder it was written from.

    Args:
        folder: The model, in the Hugging Face layout.
        file: The GGUF file.
        prompts: Texts to compare them on.
        tolerance: See ``compare``.
        longest: Tokens of a text that are compared.
        device: The torch device for the folder's model; the file runs on the CPU.
        threads: CPU threads of llama.cpp.

    Raises:
        ModelFileError: They differ by more than is allowed, or cut a text into other tokens.
        GenPRMError: One of them cannot be run; see ``read_folder`` and ``compare``.
    """
    readings = await read_folder(folder, prompts, longest=longest, device=device)
    return await compare(readings, file, tolerance=tolerance, threads=threads)


async def compare(
    readings: Readings, file: Path, *, tolerance: float | None = None, threads: int | None = None
) -> Parity:
    """Hold a file against what its folder's model expects.

    Args:
        readings: What that is.
        file: The GGUF file.
        tolerance: How far log-probabilities may be off on average, and a single one ``OUTLIER`` times as far.
            By default that of the file's type (``TOLERANCES``). Smaller types have none, but both must agree
            on the likeliest token at most positions (``LEAST_AGREEMENT``).
        threads: CPU threads of llama.cpp; by default the physical cores, one for a small model.

    Raises:
        ParityError: They differ by more than is allowed.
        ModelFileError: They cut a text into other tokens; or the file is damaged.
        MissingExtraError: llama-cpp-python is not installed.
        InputError: The memory is too small for the file.
    """
    found, kind = await in_thread(partial(_compared, readings, file, tolerance, threads))
    reason = _too_far(found)
    if reason is not None:
        mend = MORE_EXACT.get(kind, MORE_EXACT_THAN_SMALL)
        raise ParityError(_differing(readings, file, f"{reason}: {mend}"), found)
    return found


def _too_far(found: Parity) -> str | None:
    """By how much more than is allowed a file is off, or None if it is not."""
    allowed = found.tolerance
    if allowed is None:
        if found.agreement >= LEAST_AGREEMENT:
            return None
        return (
            f"they agree on the likeliest token at {found.agreement:.1%} of {found.positions} positions, and "
            f"{LEAST_AGREEMENT:.0%} is the least"
        )
    if found.mean <= allowed and found.largest <= OUTLIER * allowed:
        return None
    return (
        f"log-probabilities are off by {found.mean:.2g} on average and by {found.largest:.2g} at most, "
        f"and {allowed:g} and {OUTLIER * allowed:g} are allowed"
    )


def _differing(readings: Readings, file: Path, reason: str) -> str:
    # A file that is compared before it gets its name is known to people by that name.
    name = file.name.removesuffix(".part")
    return f"{name} does not compute what {readings.folder} computes: {reason}"


def _compared(
    readings: Readings, file: Path, tolerance: float | None, threads: int | None, check: Check
) -> tuple[Parity, str]:
    """The differences, and the file's type."""
    cells = max(len(text.tokens) for text in readings.texts)
    metadata, kind = read_gguf_metadata(file), read_facts(file).quantisation
    check_memory(file, cells, cache_bytes_per_token(metadata, CACHE))
    setup = Setup(
        cells=cells,
        streams=1,
        threads=threads or worthwhile_threads(file),
        gpu_layers=0,
        flash_attention=False,
        cache_type=CACHE,
    )
    sums, verdicts = _Sums(), []
    context = Context(file, setup)
    try:
        if context.vocabulary.size != readings.size:
            reason = f"it has {context.vocabulary.size} entries, and the folder's model {readings.size}"
            raise ModelFileError(_differing(readings, file, reason))
        for text in readings.texts:
            _check_tokens(readings, text, context, file)
        for text in readings.texts:
            verdicts += _compare_text(text, context, sums, check)
            context.drop(0, 0)
    except BackendError as error:
        reason = f"{error}; F16 cannot hold what some models compute, and BF16 and Q8_0 can"
        raise ModelFileError(_differing(readings, file, reason)) from error
    finally:
        context.free()
    found = Parity(
        texts=len(readings.texts),
        positions=sums.positions,
        largest=sums.largest,
        mean=sums.sum / sums.entries,
        agreement=sums.agreeing / sums.positions,
        verdicts=len(verdicts),
        largest_verdict=max(verdicts, default=None),
        tolerance=TOLERANCES.get(kind) if tolerance is None else tolerance,
    )
    return found, kind


def _check_tokens(readings: Readings, text: Reading, context: Context, file: Path) -> None:
    """Make sure that both cut a text into the same tokens."""
    cut = context.vocabulary.tokens(text.segments)
    if tuple(cut) == text.cut:
        return
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(cut, text.cut, strict=False)))
    piece = readings.tokenizer.piece
    before, theirs, ours = (
        b"".join(map(piece, tokens)).decode("utf-8", "replace")
        for tokens in (text.cut[max(0, same - 8) : same], text.cut[same : same + 3], cut[same : same + 3])
    )
    raise ModelFileError(
        f"{file.name} cuts text into other tokens than {readings.folder}: behind {before!r}, "
        f"{text.cut[same : same + 3]} ({theirs!r}) become {cut[same : same + 3]} ({ours!r})"
    )


def _compare_text(text: Reading, context: Context, sums: _Sums, check: Check) -> list[float]:
    """Add a text's differences to the sums; returns those of its verdicts."""
    verdicts = {verdict.position: verdict for verdict in text.verdicts}
    differences = []
    for start in range(0, len(text.tokens), ROWS):
        check()
        positions = range(start, min(start + ROWS, len(text.tokens)))
        context.decode([Row(text.tokens[at], at, 0, wanted=True) for at in positions])
        for row, position in enumerate(positions):
            found = log_probabilities(context.logits(row))
            if position in verdicts:
                verdict = verdicts[position]
                score = float(expit(found[verdict.yes] - found[verdict.no]))
                differences.append(abs(score - verdict.score))
            _add(text, position, found, sums)
    return differences


def _add(text: Reading, position: int, found: NDArray[np.float64], sums: _Sums) -> None:
    """Add a position's differences; uses up what the file has found there."""
    start, end = (int(text.ends[at]) if at >= 0 else 0 for at in (position - 1, position))
    entries = text.entries[start:end]
    off = np.abs(found[entries] - text.logs[start:end])
    sums.positions += 1
    sums.entries += len(off)
    sums.sum += float(off.sum())
    sums.agreeing += int(found.argmax()) == int(text.likeliest[position])
    found[entries] = -np.inf
    sums.largest = max(sums.largest, float(off.max()), float(found.max()) - LOG_LEAST)
