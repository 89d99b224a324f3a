"""What others offer for the same work: a loop over ``llama_cpp.Llama``, and llama-server with a slot a chain.

A contestant gets prompts as tokens, so none is charged for tokenising and what it wrote comes back to it
unchanged. Sampling is the same everywhere; where the model would end its turn it goes on.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from _shapes import Piece

from genprm_sdk import Sampling
from genprm_sdk.engine.library import library

__all__ = ["Contestant", "LlamaLoop", "LlamaServer", "Speed", "Work", "open_llama", "start_server"]


@dataclass(frozen=True)
class Work:
    """Chains that start from one prompt.

    Attributes:
        prompt: What all of them share.
        additions: For each chain, what comes between its generations.
        tokens: Tokens of one generation.
        sampling: For all; what a chain draws depends on its number too.
    """

    prompt: Piece
    additions: tuple[tuple[Piece, ...], ...]
    tokens: int
    sampling: Sampling

    @property
    def total(self) -> int:
        """Tokens to generate in all."""
        return sum(self.tokens * (len(chain) + 1) for chain in self.additions)


@dataclass(frozen=True)
class Speed:
    """One request alone, in tokens a second: what the build of a library does without any scheduling."""

    prefill: float
    decode: float


class Contestant(Protocol):
    """Somebody who can do the work."""

    async def chains(self, work: Work) -> int:
        """Write all chains; the number of tokens generated."""
        ...

    async def alone(self, prompt: Piece, tokens: int, sampling: Sampling) -> Speed:
        """Read a prompt that was never seen and write one continuation."""
        ...


def open_llama(path: Path, context: int, threads: int) -> Any:
    """One ``llama_cpp.Llama``."""
    return library().Llama(
        str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
    )


class LlamaLoop:
    """Chain after chain on one ``Llama``, which keeps the longest common prefix, or has it taken away."""

    def __init__(self, llama: Any, reuse: bool) -> None:
        self._llama = llama
        self._reuse = reuse

    async def chains(self, work: Work) -> int:
        written = 0
        for number, additions in enumerate(work.additions):
            tokens = list(work.prompt.tokens)
            for addition in (*additions, None):
                new = self._generate(tokens, work.tokens, work.sampling, number)
                written += len(new)
                tokens += new + list(addition.tokens if addition else ())
        return written

    async def alone(self, prompt: Piece, tokens: int, sampling: Sampling) -> Speed:
        started = time.perf_counter()
        first = self._generate(prompt.tokens, 1, sampling, 0)
        between = time.perf_counter()
        self._generate([*prompt.tokens, *first], tokens, sampling, 0)
        ended = time.perf_counter()
        return Speed(len(prompt.tokens) / (between - started), tokens / (ended - between))

    def _generate(self, prompt: Sequence[int], count: int, sampling: Sampling, number: int) -> list[int]:
        if not self._reuse:
            self._llama.reset()
        self._llama.set_seed(sampling.seed + number)
        stream = self._llama.generate(
            prompt,
            temp=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
        )
        tokens = list(islice(stream, count))
        stream.close()
        return tokens


def start_server(path: Path, context: int, slots: int, threads: int) -> tuple[Any, str] | None:
    """llama-server in this process, and its address; None where xllamacpp is not installed."""
    if find_spec("xllamacpp") is None:
        return None
    import xllamacpp  # type: ignore[import-not-found,unused-ignore]

    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.n_ctx = context * slots
    options.n_parallel = slots
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
    options.verbosity = -1
    server = xllamacpp.Server(options)
    return server, server.listening_address


class LlamaServer:
    """A request for each generation, all chains at once; the server finds a slot that knows the beginning.

    Args:
        address: Of a server with at least as many slots as chains.
        slots: Requests at once.
    """

    def __init__(self, address: str, slots: int) -> None:
        self._address = address.rstrip("/")
        self._slots = slots

    async def chains(self, work: Work) -> int:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(self._slots) as threads:
            counts = await asyncio.gather(
                *(
                    loop.run_in_executor(threads, self._chain, work, number)
                    for number in range(len(work.additions))
                )
            )
        return sum(counts)

    async def alone(self, prompt: Piece, tokens: int, sampling: Sampling) -> Speed:
        started = time.perf_counter()
        first = await asyncio.to_thread(self._generate, prompt.tokens, 1, sampling, 0)
        between = time.perf_counter()
        await asyncio.to_thread(self._generate, [*prompt.tokens, *first], tokens, sampling, 0)
        ended = time.perf_counter()
        return Speed(len(prompt.tokens) / (between - started), tokens / (ended - between))

    def _chain(self, work: Work, number: int) -> int:
        tokens, written = list(work.prompt.tokens), 0
        for addition in (*work.additions[number], None):
            new = self._generate(tokens, work.tokens, work.sampling, number)
            written += len(new)
            tokens += new + list(addition.tokens if addition else ())
        return written

    def _generate(self, prompt: Sequence[int], count: int, sampling: Sampling, number: int) -> list[int]:
        body = {
            "prompt": list(prompt),
            "n_predict": count,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "seed": sampling.seed + number,
            "ignore_eos": True,
            "cache_prompt": True,
            "return_tokens": True,
        }
        request = urllib.request.Request(
            f"{self._address}/completion",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            tokens: list[int] = json.load(answer)["tokens"]
        return tokens
