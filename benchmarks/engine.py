"""What the engine makes of a machine: throughput beside other ways to run a model, and its own costs.

Models have real shapes and random weights (``_shapes.py``), so nothing is downloaded and nothing is said
about what they write. Contestants take turns within one run (A B A B ...); a figure is the median of the
repeats with the least and the greatest, a ratio is taken repeat by repeat. No time is a promise about another
machine, and a llama-server from a wheel for any machine may lack instructions that ours was built with: what
one request alone takes is measured too.

Parts, all of them by default:

- ``chains``: eight chains from one prompt, generating and being appended to in turns, beside a loop over
  ``llama_cpp.Llama`` with and without its prefix reuse, and beside llama-server with eight slots.
- ``arrivals``: requests that come one by one with prompts that others brought before; tokens evaluated.
- ``single``: one sequence, against what the memory's bandwidth allows.
- ``overhead``: what an iteration costs beyond llama.cpp and sampling.
- ``tree``: many completions from every prefix of one solution; tokens of prefill.
- ``scaling``: by sequences at once, by context length, by requests in the queue; also as a plot.
- ``styles``: the price of re-encoding finished turns (``reference``) against appending to them (``chat``).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _engine_plots import Panel, picture
from _peers import Contestant, LlamaLoop, LlamaServer, Speed, Work, open_llama, start_server
from _shapes import SHAPES, Model, Piece, Texts, find_shape

from genprm_sdk import Sampling
from genprm_sdk.backends.base import Backend, OpenSequence
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.engine.library import library
from genprm_sdk.prompt import content

Figures = dict[str, Any]
"""What ends up in the JSON file."""

OPEN = 64
"""Sequences open at once, at most."""

FORGETFUL = "Llama, cache thrown away"
CHAINS, PROMPT, ROUNDS, ROUND, BETWEEN = 8, 512, 3, 32, 20
BANDWIDTH_BYTES = 1 << 30


@dataclass(frozen=True)
class Setting:
    """What a part measures with.

    Attributes:
        model: The model file.
        texts: Texts of an exact length in its tokens.
        threads: CPU threads of every contestant.
        repeats: How often everything is measured.
        completions: From each prefix, in ``tree``.
        server: Address of a llama-server to compare with; without one it is started for the run.
    """

    model: Model
    texts: Texts
    threads: int
    repeats: int
    completions: int
    server: str | None

    @property
    def sampling(self) -> Sampling:
        """The paper's; the bundled model would end its turn too early with it, and is made to ramble."""
        return Sampling(temperature=2.0, top_k=0) if self.model.small else Sampling()

    async def load(self, context: int, capacity: int) -> LlamaCppBackend:
        """The model in our backend, warmed up."""
        backend = await LlamaCppBackend.load(
            self.model.path, context=context, capacity=capacity, threads=self.threads
        )
        sequence = await backend.open([content(self.texts.of(32).text)])
        await write(sequence, 4, self.sampling)
        await sequence.close()
        return backend


# ------------------------------------------------------------------------------------------ helpers


async def write(sequence: OpenSequence, tokens: int, sampling: Sampling, seed: int = 0) -> int:
    """Generate exactly so many tokens, as far as the context reaches: an end of turn is passed over."""
    written = 0
    while written < tokens:
        draw = Sampling(
            sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p, 1000 * seed + written
        )
        new = (await sequence.generate([], tokens - written, draw)).tokens
        if not new:
            break
        written += new
    return written


async def close_all(sequences: Sequence[OpenSequence]) -> None:
    await asyncio.gather(*(sequence.close() for sequence in sequences))


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await call()
    return time.perf_counter() - started


def spread(values: Sequence[float]) -> Figures:
    """Median, extremes, and every value."""
    return {
        "median": statistics.median(values),
        "least": min(values),
        "greatest": max(values),
        "values": list(values),
    }


def shown(figures: Figures, unit: str = "") -> str:
    """A spread for people."""
    median, least, greatest = (digits(figures[name]) for name in ("median", "least", "greatest"))
    return f"{median}{unit}" if least == greatest else f"{median}{unit} ({least} to {greatest})"


def digits(value: float) -> str:
    """Four digits, or as many as stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def tell(line: str) -> None:
    print(f"  {line}", flush=True)


def rounded_up(tokens: int) -> int:
    """A context that holds so many tokens."""
    return -(-tokens // 256) * 256


# ------------------------------------------------------------------------------------------ chains


class OurEngine:
    """The backend of this project, as a contestant."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def chains(self, work: Work) -> int:
        trunk = await self._backend.open([content(work.prompt.text)])
        forks = [await trunk.fork() for _ in work.additions]

        async def chain(number: int) -> int:
            written = 0
            for addition in (*work.additions[number], None):
                written += await write(forks[number], work.tokens, work.sampling, number)
                if addition:
                    await forks[number].append([content(addition.text)])
            return written

        written = sum(await asyncio.gather(*map(chain, range(len(forks)))))
        await close_all([trunk, *forks])
        return written

    async def alone(self, prompt: Piece, tokens: int, sampling: Sampling) -> Speed:
        started = time.perf_counter()
        sequence = await self._backend.open([content(prompt.text)])
        await write(sequence, 1, sampling)
        between = time.perf_counter()
        await write(sequence, tokens, sampling, 1)
        ended = time.perf_counter()
        await sequence.close()
        return Speed(len(prompt.tokens) / (between - started), tokens / (ended - between))


async def chains(setting: Setting) -> Figures:
    """Eight chains, by everybody in turn."""
    context = rounded_up(PROMPT + ROUNDS * ROUND + (ROUNDS - 1) * BETWEEN)
    backend = await setting.load(context, CHAINS + 1)
    llama = open_llama(setting.model.path, context, setting.threads)
    started = None if setting.server else start_server(setting.model.path, context, CHAINS, setting.threads)
    address = setting.server or (started.address if started else None)
    contestants: dict[str, Contestant] = {
        "engine": OurEngine(backend),
        "Llama, prefix kept": LlamaLoop(llama, reuse=True),
        FORGETFUL: LlamaLoop(llama, reuse=False),
    }
    if address:
        contestants["llama-server, 8 slots"] = LlamaServer(address, CHAINS)
        tell(f"llama-server: {started.build if started else setting.server}")
        tell(f"ours: {library().llama_print_system_info().decode().strip(' |')}")
    else:
        tell("llama-server: not compared, as xllamacpp is not installed (pip install xllamacpp)")
    try:
        return await _chains(setting, contestants)
    finally:
        await backend.close()
        llama.close()
        if started:
            started.close()


async def _chains(setting: Setting, contestants: dict[str, Contestant]) -> Figures:
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    # Who forgets the prompt between its first token and the rest has no speed of its own to show.
    alone: dict[str, list[Speed]] = {name: [] for name in contestants if name != FORGETFUL}
    for contestant in contestants.values():
        await contestant.alone(setting.texts.of(PROMPT), 2, setting.sampling)
    for _ in range(setting.repeats):
        for name, speeds in alone.items():
            speeds.append(await contestants[name].alone(setting.texts.of(PROMPT), ROUND, setting.sampling))
        for name, contestant in contestants.items():
            work = new_work(setting)
            begin = time.perf_counter()
            written = await contestant.chains(work)
            seconds = time.perf_counter() - begin
            rates[name].append(written / seconds)
            tell(f"{name}: {written} of {work.total} tokens in {seconds:.2f} s")
    figures: Figures = {"tokens/s": {}, "engine/other": {}, "alone": {}}
    for name in contestants:
        figures["tokens/s"][name] = spread(rates[name])
        ratio = spread([ours / other for ours, other in zip(rates["engine"], rates[name], strict=True)])
        line = f"{name}: {shown(figures['tokens/s'][name], ' tokens/s')}"
        if name != "engine":
            figures["engine/other"][name] = ratio
            line += f"; the engine is {shown(ratio, 'x')} as fast"
        tell(line)
    for name, speeds in alone.items():
        row = figures["alone"][name] = {
            "prefill tokens/s": spread([speed.prefill for speed in speeds]),
            "decode tokens/s": spread([speed.decode for speed in speeds]),
        }
        tell(
            f"{name}, one request alone: prefill {shown(row['prefill tokens/s'])}, "
            f"decode {shown(row['decode tokens/s'])} tokens/s"
        )
    return figures


def new_work(setting: Setting) -> Work:
    """Chains whose texts nobody has seen."""
    additions = tuple(tuple(setting.texts.of(BETWEEN) for _ in range(ROUNDS - 1)) for _ in range(CHAINS))
    return Work(setting.texts.of(PROMPT), additions, ROUND, setting.sampling)


# ------------------------------------------------------------------------------------------ arrivals


async def arrivals(setting: Setting) -> Figures:
    """Requests within a tenth of a second, several with one prompt, none of which knows of the others."""
    requests, problems, prompt, answer = 32, 4, 300, 8
    generator = random.Random(1)
    evaluated, seconds, latencies = [], [], []
    async with await setting.load(rounded_up(prompt + answer), requests) as backend:
        for _ in range(setting.repeats):
            prompts = [setting.texts.of(prompt) for _ in range(problems)]
            delays = [generator.uniform(0, 0.1) for _ in range(requests)]

            async def request(
                number: int, prompts: list[Piece] = prompts, delays: list[float] = delays
            ) -> float:
                await asyncio.sleep(delays[number])
                begin = time.perf_counter()
                sequence = await backend.open([content(prompts[number % problems].text)])
                await write(sequence, answer, setting.sampling, number)
                await sequence.close()
                return time.perf_counter() - begin

            before, begin = backend.counters(), time.perf_counter()
            latencies += await asyncio.gather(*map(request, range(requests)))
            seconds.append(time.perf_counter() - begin)
            evaluated.append(float(backend.counters().evaluated - before.evaluated))
    ideal, separate = problems * prompt + requests * answer, requests * (prompt + answer)
    figures: Figures = {
        "evaluated": spread(evaluated),
        "ideal": ideal,
        "separate": separate,
        "evaluated/ideal": spread([count / ideal for count in evaluated]),
        "separate/evaluated": spread([separate / count for count in evaluated]),
        "seconds": spread(seconds),
        "latency": spread(latencies),
    }
    tell(
        f"{requests} requests over {problems} prompts of {prompt} tokens: "
        f"{shown(figures['evaluated'])} tokens evaluated"
    )
    tell(
        f"each prompt once and what is generated: {ideal}, {shown(figures['evaluated/ideal'], 'x')} as many "
        f"were; each request for itself: {separate}, {shown(figures['separate/evaluated'], 'x')} as many"
    )
    tell(f"{shown(figures['seconds'], ' s')} in all, a request {shown(figures['latency'], ' s')}")
    return figures


# ------------------------------------------------------------------------------------------ single


def read_bandwidth(threads: int, passes: int = 3) -> float:
    """The best rate, in bytes a second, at which this process reads memory that no cache holds."""
    buffer = np.ones(BANDWIDTH_BYTES // 8, dtype=np.int64)
    parts = np.array_split(buffer, threads)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for reduce in (np.max, np.sum, np.bitwise_or.reduce):
            for _ in range(passes):
                begin = time.perf_counter()
                list(pool.map(reduce, parts))
                best = max(best, buffer.nbytes / (time.perf_counter() - begin))
    return best


async def single(setting: Setting) -> Figures:
    """One sequence reads the whole model for each token, so memory is its limit."""
    tokens, size = 64, setting.model.path.stat().st_size
    rates, bandwidths = [], []
    async with await setting.load(256, 1) as backend:
        for _ in range(setting.repeats):
            bandwidths.append(await asyncio.to_thread(read_bandwidth, setting.threads))
            sequence = await backend.open([content(setting.texts.of(64).text)])
            await write(sequence, 1, setting.sampling)
            rates.append(tokens / await timed(lambda s=sequence: write(s, tokens, setting.sampling, 1)))  # type: ignore[misc]
            await sequence.close()
    best = max(bandwidths)
    figures: Figures = {
        "tokens/s": spread(rates),
        "bandwidth": spread(bandwidths),
        "file bytes": size,
        "share of the bandwidth": spread([size * rate / best for rate in rates]),
    }
    tell(f"one sequence, {tokens} tokens: {shown(figures['tokens/s'], ' tokens/s')}")
    tell(
        f"reads the file of {size / 1e9:.3f} GB for each: "
        f"{shown(figures['share of the bandwidth'])} of {best / 1e9:.1f} GB/s, measured in this run"
    )
    return figures


# ------------------------------------------------------------------------------------------ overhead


async def overhead(setting: Setting) -> Figures:
    """What is left of an iteration when llama.cpp's and the samplers' time is taken away."""
    tokens = 64
    milliseconds, shares, steps = [], [], []
    async with await setting.load(256, CHAINS + 1) as backend:
        for _ in range(setting.repeats):
            trunk, forks = await forked(backend, setting.texts.of(64), CHAINS, setting.sampling)
            before = backend.snapshot()
            await asyncio.gather(
                *(write(fork, tokens, setting.sampling, seed) for seed, fork in enumerate(forks))
            )
            after = backend.snapshot()
            await close_all([trunk, *forks])
            iterations = after.iterations - before.iterations
            busy = after.busy_seconds - before.busy_seconds
            rest = busy - (after.decode_seconds - before.decode_seconds)
            rest -= after.sampling_seconds - before.sampling_seconds
            milliseconds.append(1000 * rest / iterations)
            steps.append(1000 * busy / iterations)
            shares.append(rest / busy)
    figures: Figures = {
        "overhead ms": spread(milliseconds),
        "iteration ms": spread(steps),
        "share": spread(shares),
    }
    tell(
        f"{CHAINS} sequences: {shown(figures['overhead ms'], ' ms')} "
        f"of {shown(figures['iteration ms'], ' ms')} an iteration, a share of {shown(figures['share'])}"
    )
    return figures


async def forked(
    backend: Backend, prompt: Piece, count: int, sampling: Sampling
) -> tuple[OpenSequence, list[OpenSequence]]:
    """Sequences with one prompt, each of which has written a token: what follows is generation alone."""
    trunk = await backend.open([content(prompt.text)])
    forks = [await trunk.fork() for _ in range(count)]
    await asyncio.gather(*(write(fork, 1, sampling, seed) for seed, fork in enumerate(forks)))
    return trunk, forks


# ------------------------------------------------------------------------------------------ tree


async def tree(setting: Setting) -> Figures:
    """Completions from every prefix of a solution, as a value of each step is estimated."""
    problem, step, steps, answer, apart = 100, 40, 6, 16, 2
    lengths = [problem + step * (number + 1) for number in range(steps)]
    independent = setting.completions * sum(lengths)
    forked_tokens, apart_tokens, seconds = [], [], []
    async with await setting.load(rounded_up(lengths[-1] + answer), OPEN) as backend:
        for _ in range(setting.repeats):
            texts = [setting.texts.of(problem), *(setting.texts.of(step) for _ in range(steps))]
            before, begin = backend.counters(), time.perf_counter()
            await grown_tree(setting, backend, texts, answer)
            seconds.append(time.perf_counter() - begin)
            between = backend.counters()
            await opened_apart(setting, backend, texts, answer, apart)
            after = backend.counters()
            forked_tokens.append(
                float(between.evaluated - before.evaluated - between.generated + before.generated)
            )
            apart_tokens.append(
                float(after.evaluated - between.evaluated - after.generated + between.generated)
            )
    figures: Figures = {
        "completions": setting.completions,
        "prefixes": steps,
        "prefilled with forks": spread(forked_tokens),
        "independent": independent,
        "independent/forks": spread([independent / count for count in forked_tokens]),
        "opened apart": {
            "completions": apart,
            "prefilled": spread(apart_tokens),
            "prompts": apart * sum(lengths),
        },
        "seconds": spread(seconds),
    }
    tell(
        f"{setting.completions} completions from each of {steps} prefixes: prefilled "
        f"{shown(figures['prefilled with forks'])} tokens in {shown(figures['seconds'], ' s')}; "
        f"{independent} if each were a request of its own, {shown(figures['independent/forks'], 'x')} as many"
    )
    tell(
        f"{apart} completions a prefix opened without forks: prefilled {shown(spread(apart_tokens))} "
        f"of {apart * sum(lengths)} prompt tokens"
    )
    return figures


async def grown_tree(setting: Setting, backend: Backend, texts: Sequence[Piece], answer: int) -> None:
    """A trunk that keeps a sequence at each prefix, and forks as soon as there is room for them."""
    trunk = await backend.open([content(texts[0].text)])
    prefixes: list[OpenSequence] = []
    for text in texts[1:]:
        await trunk.append([content(text.text)])
        prefixes.append(await trunk.fork())
    await trunk.close()
    room = asyncio.Semaphore(OPEN - len(prefixes))

    async def completion(prefix: OpenSequence, seed: int) -> None:
        async with room:
            fork = await prefix.fork()
            await write(fork, answer, setting.sampling, seed)
            await fork.close()

    await asyncio.gather(
        *(completion(prefix, seed) for prefix in prefixes for seed in range(setting.completions))
    )
    await close_all(prefixes)


async def opened_apart(
    setting: Setting, backend: Backend, texts: Sequence[Piece], answer: int, completions: int
) -> None:
    """The same without forks, as a caller would who knows of none; other texts, or nothing would be new."""
    texts = [setting.texts.of(len(text.tokens)) for text in texts]

    async def completion(length: int, seed: int) -> None:
        sequence = await backend.open([content(texts[0].text)])
        for text in texts[1 : length + 1]:
            await sequence.append([content(text.text)])
        await write(sequence, answer, setting.sampling, seed)
        await sequence.close()

    await asyncio.gather(
        *(completion(length, seed) for length in range(1, len(texts)) for seed in range(completions))
    )


# ------------------------------------------------------------------------------------------ scaling


async def scaling(setting: Setting) -> Figures:
    """By sequences at once, by length, by requests that wait."""
    return {
        "sequences": await by_sequences(setting),
        "context": await by_context(setting),
        "requests": await by_requests(setting),
    }


async def by_sequences(setting: Setting) -> Figures:
    tokens, counts = 32, [1, 2, 4, 8, 16, 32, OPEN]
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    async with await setting.load(256, OPEN) as backend:
        for _ in range(setting.repeats):
            for count in counts:
                # The trunk is one of them: with a sequence of its own it would be one too many.
                trunk, forks = await forked(backend, setting.texts.of(64), count - 1, setting.sampling)
                await write(trunk, 1, setting.sampling, count)
                everybody = [trunk, *forks]
                begin = time.perf_counter()
                await asyncio.gather(
                    *(write(one, tokens, setting.sampling, seed) for seed, one in enumerate(everybody))
                )
                seconds[count].append(time.perf_counter() - begin)
                await close_all(everybody)
    figures: Figures = {}
    for count, times in seconds.items():
        figures[str(count)] = {
            "tokens/s": spread([count * tokens / one for one in times]),
            "step ms": spread([1000 * one / tokens for one in times]),
        }
        tell(f"{count} sequences: {rate_and_step(figures[str(count)])}")
    return figures


def rate_and_step(figures: Figures) -> str:
    return f"{shown(figures['tokens/s'], ' tokens/s')}, {shown(figures['step ms'], ' ms')} a step"


async def by_context(setting: Setting) -> Figures:
    """One sequence that grows; what it writes between two lengths belongs to the next one."""
    tokens = 16
    limit = setting.model.context
    lengths = [length for length in (256 * 2**power for power in range(7)) if length < limit]
    context = min(limit, rounded_up(lengths[-1] + 2 + setting.repeats * tokens))
    figures: Figures = {}
    async with await setting.load(context, 1) as backend:
        sequence = await backend.open([content(setting.texts.of(64).text)])
        for length in lengths:
            if (missing := length - 1 - sequence.tokens) > 0:
                await sequence.append([content(setting.texts.of(missing).text)])
            begin = time.perf_counter()
            await write(sequence, 1, setting.sampling)
            prefill = time.perf_counter() - begin
            times = [
                await timed(lambda: write(sequence, tokens, setting.sampling, 1))
                for _ in range(setting.repeats)
            ]
            figures[str(length)] = {
                "tokens/s": spread([tokens / one for one in times]),
                "step ms": spread([1000 * one / tokens for one in times]),
                "prefilled": max(0, missing),
                "prefill seconds": prefill,
            }
            tell(f"{length} tokens of context: {rate_and_step(figures[str(length)])}")
        await sequence.close()
    return figures


async def by_requests(setting: Setting) -> Figures:
    """Requests that are all there at once; those beyond the sequences there are wait for their turn."""
    prompt, answer = 64, 8
    counts = [1, 4, 16, 64] if setting.model.small else [1, 2, 4, 8, 16, 32, 64, 128, 256]
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    latencies: dict[int, list[float]] = {count: [] for count in counts}
    async with await setting.load(256, OPEN) as backend:
        for _ in range(setting.repeats):
            for count in counts:
                room, prompts = asyncio.Semaphore(OPEN), [setting.texts.of(prompt) for _ in range(count)]
                begin = time.perf_counter()

                async def request(
                    seed: int, text: Piece, room: asyncio.Semaphore = room, begin: float = begin
                ) -> float:
                    async with room:
                        sequence = await backend.open([content(text.text)])
                        await write(sequence, answer, setting.sampling, seed)
                        await sequence.close()
                    return time.perf_counter() - begin

                waits = await asyncio.gather(*(request(seed, text) for seed, text in enumerate(prompts)))
                seconds[count].append(time.perf_counter() - begin)
                latencies[count].append(statistics.fmean(waits))
    figures: Figures = {}
    for count in counts:
        figures[str(count)] = {"seconds": spread(seconds[count]), "latency": spread(latencies[count])}
        tell(
            f"{count} requests: {shown(figures[str(count)]['seconds'], ' s')}, "
            f"mean latency {shown(figures[str(count)]['latency'], ' s')}"
        )
    return figures


# ------------------------------------------------------------------------------------------ styles


@dataclass(frozen=True)
class Solution:
    """What one path sees: the texts of one style must not be those of the other, or they would be cached."""

    problem: Piece
    steps: tuple[Piece, ...]
    turns: tuple[tuple[Piece, ...], ...]


async def styles(setting: Setting) -> Figures:
    """Paths that keep their rationales: appended to as generated, or encoded again behind the steps."""
    problem, step, steps, turn, paths = 200, 40, 6, 150, 4
    seconds: dict[str, list[float]] = {"chat": [], "reference": []}
    evaluated: dict[str, list[float]] = {"chat": [], "reference": []}
    ways = {"chat": chat_path, "reference": reference_path}
    async with await setting.load(rounded_up(problem + steps * (step + turn)), 2 * paths + 1) as backend:
        for _ in range(setting.repeats):
            for name, path in ways.items():
                solution = Solution(
                    setting.texts.of(problem),
                    tuple(setting.texts.of(step) for _ in range(steps)),
                    tuple(tuple(setting.texts.of(turn) for _ in range(steps)) for _ in range(paths)),
                )
                before, begin = backend.counters().evaluated, time.perf_counter()
                trunk = await backend.open([content(solution.problem.text)])
                bases = [await trunk.fork() for _ in range(paths)]
                await asyncio.gather(
                    *(path(setting, base, solution, number) for number, base in enumerate(bases))
                )
                await trunk.close()
                seconds[name].append(time.perf_counter() - begin)
                evaluated[name].append(float(backend.counters().evaluated - before))
    figures: Figures = {
        name: {"evaluated": spread(evaluated[name]), "seconds": spread(seconds[name])} for name in ways
    }
    for measure, values in (("evaluated", evaluated), ("seconds", seconds)):
        pairs = zip(values["reference"], values["chat"], strict=True)
        figures[f"reference/chat, {measure}"] = spread([reference / chat for reference, chat in pairs])
    for name in ways:
        tell(
            f"{name}: {shown(figures[name]['evaluated'])} tokens evaluated, "
            f"{shown(figures[name]['seconds'], ' s')}"
        )
    tell(
        f"reference against chat: {shown(figures['reference/chat, evaluated'], 'x')} the tokens, "
        f"{shown(figures['reference/chat, seconds'], 'x')} the time"
    )
    return figures


async def chat_path(setting: Setting, base: OpenSequence, solution: Solution, number: int) -> None:
    """The next step stands directly behind what was generated."""
    for step, turn in zip(solution.steps, solution.turns[number], strict=True):
        await base.append([content(step.text)])
        await write(base, len(turn.tokens), setting.sampling, number)
    await base.close()


async def reference_path(setting: Setting, base: OpenSequence, solution: Solution, number: int) -> None:
    """A turn is generated aside and, when it is finished, put behind its step like any other text."""
    for step, turn in zip(solution.steps, solution.turns[number], strict=True):
        await base.append([content(step.text)])
        aside = await base.fork()
        await write(aside, len(turn.tokens), setting.sampling, number)
        await aside.close()
        await base.append([content(turn.text)])
    await base.close()


# ------------------------------------------------------------------------------------------ all of it

PARTS: dict[str, Callable[[Setting], Awaitable[Figures]]] = {
    "chains": chains,
    "arrivals": arrivals,
    "single": single,
    "overhead": overhead,
    "tree": tree,
    "scaling": scaling,
    "styles": styles,
}


def scaling_picture(measured: dict[str, Figures]) -> str:
    """The scaling part of every shape that has one."""

    def lines(what: str, value: str) -> dict[str, list[tuple[float, float]]]:
        return {
            name: [(float(x), row[value]["median"]) for x, row in figures["scaling"][what].items()]
            for name, figures in measured.items()
            if "scaling" in figures
        }

    at_once, tokens = "sequences generating at once", "tokens of context"
    return picture(
        [
            Panel("tokens a second", at_once, lines("sequences", "tokens/s")),
            Panel("tokens a second, one sequence", tokens, lines("context", "tokens/s")),
            Panel("seconds until all are done", "requests", lines("requests", "seconds"), logarithmic=True),
            Panel("milliseconds a step", at_once, lines("sequences", "step ms")),
            Panel("milliseconds a step, one sequence", tokens, lines("context", "step ms")),
            Panel("mean latency, seconds", "requests", lines("requests", "latency"), logarithmic=True),
        ]
    )


def machine(threads: int) -> Figures:
    names = ("llama-cpp-python", "numpy", "xllamacpp")
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": threads,
        "versions": {name: importlib.metadata.version(name) for name in names if find_spec(module_of(name))},
        "llama.cpp": library().llama_print_system_info().decode().strip(" |"),
    }


def module_of(name: str) -> str:
    return {"llama-cpp-python": "llama_cpp"}.get(name, name)


def usable_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """How busy the machine is, also with what is not ours; a figure taken beside other work says little."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def save(folder: Path, report: Figures) -> None:
    """Write what is known so far; after each part, as a run can take an hour."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "engine.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if any("scaling" in figures for figures in report["shapes"].values()):
        (folder / "scaling.svg").write_text(scaling_picture(report["shapes"]), encoding="utf-8")


def measure(arguments: argparse.Namespace) -> None:
    threads = arguments.threads or usable_cores()
    report: Figures = {"machine": machine(threads), "repeats": arguments.repeats, "shapes": {}}
    for name in arguments.shapes:
        model = find_shape(name, arguments.models, threads)
        texts = Texts(model.path)
        setting = Setting(
            model=model,
            texts=texts,
            threads=1 if model.small else threads,
            repeats=arguments.repeats,
            completions=arguments.completions or (8 if model.small else 64),
            server=arguments.server,
        )
        figures: Figures = {"file bytes": model.path.stat().st_size}
        report["shapes"][name] = figures
        for part in arguments.parts or PARTS:
            load = load_average()
            print(f"{name}, {part}" + ("" if load is None else f" (load before: {load:.1f})"), flush=True)
            figures[part] = asyncio.run(_awaited(PARTS[part](setting)))
            figures[part]["load before"] = load
            if arguments.out:
                save(arguments.out, report)
        texts.close()


async def _awaited(figures: Awaitable[Figures]) -> Figures:
    return await figures


def shape_names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in (*SHAPES, "tiny"):
            raise argparse.ArgumentTypeError(f"there is no shape {name!r}: {', '.join(SHAPES)}, tiny")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--shapes", type=shape_names, default=["0.5b"], help="0.5b, 1.5b, tiny, with commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="the cores this process may use by default")
    parser.add_argument("--completions", type=int, help="from each prefix, in tree; 64, and 8 of tiny")
    parser.add_argument("--server", help="address of a llama-server with 8 slots, instead of xllamacpp's")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("~/.cache/genprm-sdk/benchmarks").expanduser(),
        help="folder for the built model files",
    )
    parser.add_argument("--out", type=Path, help="folder for engine.json and the plots")
    arguments = parser.parse_args()
    if unknown := [part for part in arguments.parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}")
    measure(arguments)


if __name__ == "__main__":
    main()
