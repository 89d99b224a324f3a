"""What the SDK itself costs in a check, and whether many checks need more memory than few.

One path at a time, so that nothing overlaps: the time that is not in llama.cpp and not in a block of code is
the SDK's. Shapes are files of random weights, built where they are missing; what they write means nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
import warnings
from pathlib import Path

from _shapes import SHAPES, find_shape

from genprm_sdk import Solution, UnreadableVerdictWarning, Verifier, VerifierSettings
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.modes import History

FOLDER = Path("~/.cache/genprm-sdk/benchmarks").expanduser()
STEPS = [
    "Let's calculate A = (3 + 4 * 2) = (3 + 8) = 11.",
    "Let's calculate B = (5 - -6) = (5 + 6) = 11.",
    "Then, the final equation is (A - B) = (11 - 11) = 0. So the answer is 0",
]
PROBLEM = "((3 + 4 * 2) - (5 - -6)) ="


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure_share(shape: str, threads: int, checks: int) -> None:
    model = find_shape(shape, FOLDER, threads)
    settings = None
    if not model.small:  # random weights write to the end of every budget
        settings = VerifierSettings(
            style="chat", history=History.STEPS, analysis_tokens=64, turn_tokens=160, rounds=3
        )
    async with Verifier(model.path, settings=settings, threads=threads) as verifier:
        backend = verifier._opened
        assert isinstance(backend, LlamaCppBackend)
        await verifier.check(STEPS[:1], problem=PROBLEM)
        before, started, code, written = backend.snapshot(), time.perf_counter(), 0.0, 0
        for seed in range(checks):
            usage = (await verifier.check(STEPS, problem=PROBLEM, seed=seed)).usage
            code += usage.code_seconds
            written += usage.generated_tokens
        wall = time.perf_counter() - started
        after = backend.snapshot()
    model_seconds = (
        after.decode_seconds - before.decode_seconds + after.sampling_seconds - before.sampling_seconds
    )
    own = wall - model_seconds - code
    print(
        f"{model.name}: {checks} checks, {written} tokens, {wall:.2f} s; model {model_seconds / wall:.1%}, "
        f"code {code / wall:.1%}, SDK {own / wall:.1%} ({1000 * own / max(1, written):.2f} ms a token)"
    )


async def measure_memory(count: int) -> None:
    async with Verifier("genprm-mini") as verifier:
        solutions = (
            Solution(id=str(number), problem=f"{number} + 1 =", steps=(f"A = {number} + 1 = {number + 1}.",))
            for number in range(count)
        )
        done = 0
        async for checked in verifier.check_many(solutions):
            done += 1
            assert checked.report is not None
            if done in (count // 10, count // 4, count // 2, count):
                print(f"after {done} of {count} solutions: {resident_mb():.0f} MiB resident", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=("tiny", *SHAPES), default="0.5b")
    parser.add_argument("--checks", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--many", type=int, default=1000, help="solutions of the memory measurement; 0: none")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UnreadableVerdictWarning)
    asyncio.run(measure_share(arguments.shape, arguments.threads, arguments.checks))
    if arguments.many:
        asyncio.run(measure_memory(arguments.many))


if __name__ == "__main__":
    main()
