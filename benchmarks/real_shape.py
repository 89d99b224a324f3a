"""A whole check with a model of GenPRM's shape: its tokenizer, its chat template, its sizes, random weights.

The tokenizer is Qwen2's vocabulary with DeepSeek's special tokens in the places where GenPRM's files have
them; vocabulary and template come from the source distribution of llama-cpp-python. Said are

- whether prompts are, byte for byte, what the reference implementation sends: those of recorded
  conversations, and those of a check whose paths each have a history; expected is what Jinja makes of the
  whole conversation;
- whether their tokens are those that llama.cpp's tokenizer makes of the whole prompt;
- memory against what ``genprm models info`` predicts, and speed.

Random weights never write a stop string: each analysis takes its whole budget, is closed for the model, and
no code is run. Verdicts mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _shapes import PROSE, SHAPES, Shape, Tokenizer, parameters, shape_file

from genprm_sdk import Report, Sampling, UnreadableVerdictWarning, Verifier, VerifierSettings
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.engine.fit import available_bytes, physical_cores
from genprm_sdk.engine.library import library
from genprm_sdk.engine.vocabulary import Vocabulary
from genprm_sdk.models import read_gguf_metadata
from genprm_sdk.models.memory import memory_needed
from genprm_sdk.prompt import content
from genprm_sdk.protocol import Layout
from genprm_sdk.wording import DIRECT_SYSTEM, REVIEW_SYSTEM, analysis_opening

SOURCE = "llama-cpp-python==0.3.36"
VOCABULARY = "ggml-vocab-qwen2.gguf"
TEMPLATE = "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja"
RECORDINGS = Path(__file__).parents[1] / "tests" / "protocol" / "recordings.jsonl"

ENTRIES = 151_643
"""Entries of Qwen2's vocabulary before its special tokens."""

END, BEGIN = "<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>"
SPECIAL = (
    *(END, "<｜User｜>", "<｜Assistant｜>", BEGIN, "<|EOT|>", "<think>", "</think>"),
    *("<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of entries in a GGUF file."""

GENPRM = {
    shape.name: shape
    for shape in (
        Shape("1.5b", 28, 1536, 12, 2, 8960, "Q4_K_M", ENTRIES + 293, 131_072, tied=False, rope_base=1e4),
        Shape("7b", 28, 3584, 28, 4, 18_944, "Q4_K_M", ENTRIES + 421, 131_072, tied=False, rope_base=1e4),
        SHAPES["0.5b"],
    )
}
"""GenPRM's sizes; of 0.5b there is none, it shows quickly that everything runs."""

BITS = {"Q4_K_M": 5.1, "Q8_0": 8.5}
"""A weight takes at most so many."""

PROBLEM = "A shelf holds 6 rows of 15 jars. 8 jars are broken. How many are whole?"
STEPS = (
    "The shelf holds 6 * 15 = 90 jars.",
    "Of these, 8 are broken, so 90 - 8 = 82 jars are whole",
    "Therefore the answer is \\boxed{82}.",
)


# ------------------------------------------------------------------------------------------ the file


def genprm_tokenizer(shape: Shape, vocabulary: Path | None, folder: Path) -> Tokenizer:
    """GenPRM's tokenizer, made of Qwen2's vocabulary."""
    file = vocabulary or fetched(folder)
    template = file.parent / "templates" / TEMPLATE
    if not template.is_file():
        template = file.parent / TEMPLATE
    if not file.is_file() or not template.is_file():
        raise SystemExit(
            f"{file} or {TEMPLATE} beside it is missing: leave --vocabulary out to download both"
        )
    metadata = read_gguf_metadata(file)
    tokens, merges = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.merges"]
    assert isinstance(tokens, tuple)
    assert isinstance(merges, tuple)
    padding = [f"[PAD{number}]" for number in range(ENTRIES + len(SPECIAL), shape.vocabulary)]
    types = [CONTROL if text.startswith(("<|", "<｜")) else USER_DEFINED for text in SPECIAL]
    return Tokenizer(
        pre="deepseek-r1-qwen",
        tokens=[*tokens[:ENTRIES], *SPECIAL, *padding],
        types=[NORMAL] * ENTRIES + types + [UNUSED] * len(padding),
        merges=merges,
        special={name: ENTRIES + SPECIAL.index(text) for name, text in (("bos", BEGIN), ("eos", END))},
        template=template.read_text(encoding="utf-8"),
        silent=shape.vocabulary - ENTRIES,
    )


def fetched(folder: Path) -> Path:
    """Vocabulary and template out of the source distribution, downloaded once."""
    target = folder / VOCABULARY
    if target.is_file() and (folder / TEMPLATE).is_file():
        return target
    print(f"downloading {SOURCE} for its vocabulary", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run([*command, "--dest", scratch, SOURCE], capture_output=True, text=True)
        archives = list(Path(scratch).glob("*.tar.gz"))
        if done.returncode or not archives:
            raise SystemExit(
                f"pip could not download the source of {SOURCE}; name a copy of its "
                f"vendor/llama.cpp/models/{VOCABULARY} with --vocabulary. pip said: "
                f"{done.stderr.strip()[-400:] or 'nothing'}"
            )
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in (VOCABULARY, TEMPLATE) and (data := archive.extractfile(member)):
                    (folder / name).write_bytes(data.read())
    return target


def check_room(shape: Shape, folder: Path) -> None:
    """Refuse what would not fit, before minutes are spent on building it."""
    size = int(parameters(shape) * BITS[shape.quantization] / 8)
    free, disk = available_bytes(), shutil.disk_usage(folder).free
    if free is not None and free < size + (1 << 31):
        raise SystemExit(f"{shape.name} needs {gigabytes(size)} and 2 GB beside; {gigabytes(free)} are free")
    if disk < (needed := size + parameters(shape) * 9 // 8):
        raise SystemExit(f"building {shape.name} needs {gigabytes(needed)} on the disk of {folder}")


def built(shape: Shape, vocabulary: Path | None, folder: Path, threads: int) -> Path:
    """The file, built in another process, whose memory does not count as this one's."""
    folder.mkdir(parents=True, exist_ok=True)
    check_room(shape, folder)
    read = partial(genprm_tokenizer, vocabulary=vocabulary, folder=folder)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        return other.submit(shape_file, shape, folder, threads, "genprm", read).result()


# ------------------------------------------------------------------------------------------ prompts


class WatchedSequence:
    """A sequence that notes the tokens it holds whenever it is to generate."""

    def __init__(self, sequence: Any, prompts: list[tuple[int, ...]]) -> None:
        self._sequence = sequence
        self._prompts = prompts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sequence, name)

    async def fork(self) -> WatchedSequence:
        return WatchedSequence(await self._sequence.fork(), self._prompts)

    async def generate(self, *arguments: Any) -> Any:
        self._prompts.append(self._sequence.token_ids)
        return await self._sequence.generate(*arguments)


class Watched:
    """A backend whose sequences note their prompts."""

    def __init__(self, backend: LlamaCppBackend) -> None:
        self._backend = backend
        self.prompts: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def open(self, segments: Any) -> Any:
        return WatchedSequence(await self._backend.open(segments), self.prompts)


class Tokens:
    """What a model's tokens say, and what tokens llama.cpp itself makes of a whole prompt."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._spelling = {token: text.encode() for text, token in vocabulary.special.items()}

    def text(self, tokens: Sequence[int]) -> bytes:
        return b"".join(self._spelling.get(token) or self._vocabulary.piece(token) for token in tokens)

    def usual(self, text: str) -> list[int]:
        """With the special tokens that the text spells, as whoever sends a prompt as text gets them."""
        data = text.encode()
        buffer = (ctypes.c_int32 * len(data))()
        vocab = self._vocabulary._vocab
        count = library().llama_tokenize(vocab, data, len(data), buffer, len(data), False, True)
        return list(buffer[:count])


class Rendering:
    """Conversations as Jinja renders the whole of them with the file's template."""

    def __init__(self, template: str) -> None:
        from jinja2 import Environment

        self._template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(template)

    def prompt(self, system: str, problem: str, steps: Sequence[str], turns: Sequence[str]) -> str:
        """What ends with the step behind the last turn, as the reference sends it."""
        messages = [{"role": "system", "content": system}]
        for index, step in enumerate(steps[: len(turns) + 1]):
            messages.append({"role": "user", "content": step if index else f"{problem}\n{step}"})
            if index < len(turns):
                messages.append({"role": "assistant", "content": turns[index]})
        text = self._template.render(
            messages=messages, bos_token=BEGIN, eos_token=END, add_generation_prompt=False
        )
        return text.removesuffix(END)


class Tally:
    """How many prompts are as they should be, and in what tokens they are not."""

    def __init__(self) -> None:
        self.prompts = self.same_bytes = self.same_tokens = 0
        self.seams: Counter[str] = Counter()

    def add(self, tokens: Tokens, found: Sequence[int], expected: str) -> None:
        self.prompts += 1
        self.same_bytes += tokens.text(found) == expected.encode()
        usual = tokens.usual(expected)
        self.same_tokens += list(found) == usual
        for ours, theirs in differences(found, usual):
            said = [
                [tokens.text([token]).decode("utf-8", "replace") for token in part] for part in (ours, theirs)
            ]
            self.seams[f"{said[0]} instead of {said[1]}"] += 1

    def tell(self, name: str) -> None:
        print(
            f"{name}: {self.same_bytes} of {self.prompts} prompts equal the reference format byte for byte; "
            f"{self.same_tokens} in all tokens too"
        )
        for seam, count in self.seams.most_common(6):
            print(f"  {count} times {seam}")


def differences(found: Sequence[int], usual: Sequence[int]) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Where two lists of tokens differ."""
    from difflib import SequenceMatcher

    for kind, a, b, c, d in SequenceMatcher(None, found, usual, autojunk=False).get_opcodes():
        if kind != "equal":
            yield found[a:b], usual[c:d]


async def recorded(
    backend: LlamaCppBackend, tokens: Tokens, rendering: Rendering, cases: Sequence[dict[str, Any]]
) -> Tally:
    """Every prompt of recorded conversations, put together as a check does it."""
    tally = Tally()
    for case in cases:
        direct = not (case["mode"]["analyze"] or case["mode"]["verify"])
        layout = Layout(backend.frame, "reference", direct)
        steps, turns = case["steps"], [turn["assistant"] for turn in case["turns"]]
        conversed = layout.opening(case["problem"], steps[0])
        for index, turn in enumerate(case["turns"]):
            if index:
                conversed += layout.after_turn(turns[index - 1], steps[index])
            system = DIRECT_SYSTEM if direct else REVIEW_SYSTEM
            conversation = rendering.prompt(system, case["problem"], steps, turns[:index])
            for call in turn["calls"]:
                assert call["prompt"].startswith(conversation), "the template differs from the recording's"
                written = content(call["prompt"].removeprefix(conversation))
                asked = await backend.open([*conversed, *layout.asking(), written])
                tally.add(tokens, asked.token_ids, call["prompt"])
                await asked.close()
    return tally


def checked(report: Report, prompts: list[tuple[int, ...]], tokens: Tokens, rendering: Rendering) -> Tally:
    """The prompts with which the turns of a check began."""
    tally, found = Tally(), {tokens.text(prompt): prompt for prompt in prompts}
    for path in range(report.samples):
        turns = [step.paths[path].text for step in report.steps]
        for index in range(len(STEPS)):
            expected = rendering.prompt(REVIEW_SYSTEM, PROBLEM, STEPS, turns[:index]) + analysis_opening(
                index
            )
            tally.add(tokens, found.get(expected.encode(), ()), expected)
    return tally


# ------------------------------------------------------------------------------------------ speed


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB"


def peak_bytes() -> int:
    """The most memory this process has held; the sandbox's processes are not in it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def mapped_bytes() -> int | None:
    """Pages of files in this process's memory, which the system can take back; None where it does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssFile:")), None)


async def alone(backend: LlamaCppBackend, length: int) -> str:
    """One sequence: reading a prompt of about so many tokens, and writing behind it."""
    words = PROSE.split() * (1 + length // len(PROSE.split()))
    sequence = await backend.open([content(" ".join(words[:length]))])
    started = time.perf_counter()
    await sequence.generate((), 1, Sampling())
    between = time.perf_counter()
    read, written = sequence.tokens - 1, (await sequence.generate((), 32, Sampling())).tokens
    ended = time.perf_counter()
    await sequence.close()
    return (
        f"reads {read / (between - started):.1f} tokens/s ({read} tokens), "
        f"writes {written / (ended - between):.1f} tokens/s"
    )


async def measure(
    path: Path, size: int, threads: int, analysis_tokens: int, cases: Sequence[dict[str, Any]]
) -> None:
    metadata, before = read_gguf_metadata(path), peak_bytes()
    template = metadata["tokenizer.chat_template"]
    assert isinstance(template, str)
    rendering = Rendering(template)
    settings = VerifierSettings(analysis_tokens=analysis_tokens, turn_tokens=analysis_tokens)
    started = time.perf_counter()
    async with await LlamaCppBackend.load(path, threads=threads) as backend:
        print(f"loaded in {time.perf_counter() - started:.1f} s; peak {gigabytes(peak_bytes())}")
        await alone(backend, 8)
        print(f"one sequence: {await alone(backend, 512)}", flush=True)
        tokens = Tokens(backend.engine.vocabulary)
        (await recorded(backend, tokens, rendering, cases)).tell("recorded conversations")
        watched = Watched(backend)
        async with Verifier(backend=watched, history="rationales", settings=settings) as verifier:
            for samples in (1, 4):
                watched.prompts.clear()
                began, snapshot = time.perf_counter(), backend.snapshot()
                report = await verifier.check(STEPS, problem=PROBLEM, samples=samples)
                seconds, after = time.perf_counter() - began, backend.snapshot()
                written = after.generated - snapshot.generated
                evaluated = after.evaluated - snapshot.evaluated
                print(
                    f"a check of {len(STEPS)} steps, N={samples}: {seconds:.1f} s, "
                    f"{seconds / len(STEPS):.1f} s a step; {written} tokens written "
                    f"({written / seconds:.1f} tokens/s in all), {evaluated - written} others evaluated"
                )
                print(f"  verdict {report.verdict}, labels {[step.label for step in report.steps]}")
                checked(report, watched.prompts, tokens, rendering).tell(f"  its turns, N={samples}")
                needed = memory_needed(metadata, weights=size, samples=samples, context=backend.context)
                print(
                    f"  memory predicted for {samples} x {backend.context} tokens: "
                    f"{gigabytes(needed.total)}; peak so far: {gigabytes(peak_bytes())}"
                )
        cells, mapped = backend.snapshot().cells, mapped_bytes()
    cache = memory_needed(metadata, weights=0, samples=1, context=cells).cache
    print(
        f"memory: file {gigabytes(size)} + a cache of {cells:,} tokens {gigabytes(cache)} = "
        f"{gigabytes(size + cache)}; peak of the process {gigabytes(peak_bytes())}, "
        f"{gigabytes(before)} of it before the model was loaded"
        + ("" if mapped is None else f", {gigabytes(mapped)} the mapped file, which the system can take back")
    )
    print(
        f"budgets: analysis {analysis_tokens} tokens, verdict 20, no code (no analysis ever ends by itself)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=GENPRM, default="1.5b")
    parser.add_argument("--vocabulary", type=Path, help=f"{VOCABULARY}, with {TEMPLATE} beside it")
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--analysis-tokens", type=int, default=64, help="budget of each analysis")
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="recorded conversations")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("~/.cache/genprm-sdk/benchmarks").expanduser(),
        help="folder for the built model files",
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UnreadableVerdictWarning)
    path = built(GENPRM[arguments.shape], arguments.vocabulary, arguments.models, arguments.threads)
    cases = [json.loads(line) for line in arguments.recordings.read_text(encoding="utf-8").splitlines()]
    size = path.stat().st_size
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    print(f"{path.name}: {gigabytes(size)}, {arguments.threads} threads{load}", flush=True)
    asyncio.run(measure(path, size, arguments.threads, arguments.analysis_tokens, cases))


if __name__ == "__main__":
    main()
