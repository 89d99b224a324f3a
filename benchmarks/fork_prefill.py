"""A fork of a prompt costs no prefill: tokens that go through the model, and time, with forks and without.

Opens one prompt and lets N paths draw one token from it, once by forking and once by opening it N times. The
last token of a prompt is evaluated by each path that draws from it; everything before it by none but the
first. Times are ratios within this run.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from genprm_sdk import Sampling
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.models import find_model
from genprm_sdk.prompt import content


async def measure(model: str, paths: int, sentences: int) -> None:
    name, path = find_model(model)
    prompt = [content("12 * 7 = 84. " * sentences)]

    async def run(backend: LlamaCppBackend, share: bool) -> tuple[int, float]:
        before, begin = backend.counters().evaluated, time.perf_counter()
        base = await backend.open(prompt)
        for _ in range(paths):
            sequence = await base.fork() if share else await backend.open(prompt)
            await sequence.generate([], 1, Sampling(temperature=0))
            await sequence.close()
        await base.close()
        return backend.counters().evaluated - before, time.perf_counter() - begin

    async with await LlamaCppBackend.load(path, name=name, capacity=2) as backend:
        await run(backend, share=True)
        shared, separate = await run(backend, share=True), await run(backend, share=False)
    tokens = separate[0] // paths
    print(f"{name}: a prompt of {tokens} tokens, {paths} paths")
    print(f"  forked:   {shared[0]:7} tokens evaluated, {shared[1]:.3f} s")
    print(f"  separate: {separate[0]:7} tokens evaluated, {separate[1]:.3f} s")
    print(
        f"  {separate[0] / shared[0]:.2f}x fewer tokens, {separate[1] / shared[1]:.2f}x less time with forks"
    )
    if shared[0] != tokens - 1 + paths:
        raise SystemExit("a fork evaluated prompt tokens again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="genprm-mini")
    parser.add_argument("--paths", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=100, help="length of the prompt, in short sentences")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.model, arguments.paths, arguments.repeats))


if __name__ == "__main__":
    main()
