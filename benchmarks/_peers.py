"""What others offer for the same work: a loop over ``llama_cpp.Llama``, and llama-server with a slot a chain.

A contestant gets prompts as tokens, so none is charged for tokenising and what it wrote comes back to it
unchanged. Sampling is the same everywhere; where the model would end its turn it goes on.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
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


class StartedServer:
    """llama-server in a process of its own, until it is closed.

    Args:
        path: The model file.
        context: Tokens of a slot.
        slots: How many there are.
        threads: CPU threads.
    """

    def __init__(self, path: Path, context: int, slots: int, threads: int) -> None:
        script = Path(__file__).with_name("_server.py")
        numbers = [str(number) for number in (context, slots, threads)]
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(path), *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.build, self.address = (self._process.stdout.readline().strip() for _ in range(2))
        if not self.address:
            raise RuntimeError("llama-server did not start")

    def close(self) -> None:
        self._process.communicate()


def start_server(path: Path, context: int, slots: int, threads: int) -> StartedServer | None:
    """llama-server, or None where xllamacpp is not installed."""
    if find_spec("xllamacpp") is None:
        return None
    return StartedServer(path, context, slots, threads)


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
