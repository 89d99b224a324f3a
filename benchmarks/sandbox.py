"""What a block costs in the sandbox, beside ``exec`` in process, a persistent worker and a process a block.

All in one run, one after another, on a machine that does nothing else; medians of many, in milliseconds, and
the ratio to ``exec``. Memory is proportional set size, so pages that workers share count once.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from pathlib import Path

from genprm_sdk.sandbox import Isolation, Limits, Sandbox

PLAIN = """
total = 0
values = [3, 1, 4, 1, 5, 9, 2, 6]
for index, value in enumerate(values):
    total += value * index
average = total / len(values)
names = {name: len(name) for name in ("one", "two", "three")}
check = sorted(values) == [1, 1, 2, 3, 4, 5, 6, 9]
print(total, round(average, 2), names["three"])
print(check and total == 120)
"""
SOLVE = "import sympy\nx = sympy.Symbol('x')\nprint(sympy.solve(x**2 - 5*x + 6, x))"
LOOP = "total = 0\nfor i in range(300_000):\n    total += i * i % 7\nprint(total)"
ATTRIBUTES = """
import math
class P:
    def __init__(self, x): self.x = x
points = [P(i) for i in range(2000)]
total = 0
for _ in range(20):
    for p in points:
        total += math.sqrt(p.x)
print(round(total))
"""
WORKER = """
import contextlib, io, sys
space = {}
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(eval(line), space)
    print(repr(out.getvalue()), flush=True)
"""


def plainly(source: str) -> None:
    with redirect_stdout(io.StringIO()):
        exec(compile(source, "<string>", "exec"), {})  # noqa: S102 - what others do, to compare with


def median_ms(times: list[float]) -> float:
    return 1000 * statistics.median(times)


def timed(call: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median_ms(times)


async def timed_async(call: Callable[[], Awaitable[object]], count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await call()
        times.append(time.perf_counter() - started)
    return median_ms(times)


def a_process_a_block(source: str, count: int) -> float:
    return timed(
        lambda: subprocess.run([sys.executable, "-c", source], capture_output=True, check=True), count
    )


def a_persistent_worker(source: str, count: int) -> float:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None

        def ask() -> None:
            print(repr(source), file=worker.stdin, flush=True)
            worker.stdout.readline()  # type: ignore[union-attr]

        ask()
        result = timed(ask, count)
        worker.stdin.close()
        return result


def proportional_mb(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def children() -> list[int]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in path.read_text(encoding="ascii").split()]


async def in_the_sandbox(isolation: Isolation, count: int) -> dict[str, float]:
    found: dict[str, float] = {}
    started = time.perf_counter()
    async with Sandbox(Limits(wall_seconds=20), isolation=isolation) as sandbox:
        await sandbox.ready()
        found["start"] = 1000 * (time.perf_counter() - started)
        async with sandbox.session() as session:
            for name, source, times in (
                ("plain", PLAIN, count),
                ("solve", SOLVE, count // 4),
                ("loop", LOOP, count // 20),
                ("attributes", ATTRIBUTES, count // 20),
            ):
                await session.run(source)
                found[name] = await timed_async(lambda source=source: session.run(source), times)

            async def fork() -> None:
                await (await session.fork()).close()

            found["fork"] = await timed_async(fork, count // 4)
        times = []
        for _ in range(count // 4):
            await asyncio.sleep(0.03)  # the reserve is filled again, as it is between two checks
            started = time.perf_counter()
            async with sandbox.session() as session:
                await session.run("x = 1")
                times.append(time.perf_counter() - started)
        found["new session"] = median_ms(times)
        sessions = [sandbox.session() for _ in range(32)]
        await asyncio.gather(*(session.run(SOLVE) for session in sessions))
        pids = [session.pid for session in sessions if session.pid is not None]
        found["32 sessions, MB"] = proportional_mb([*pids, *children()])
        await asyncio.gather(*(session.close() for session in sessions))
    return found


def rows(count: int) -> list[tuple[str, dict[str, float]]]:
    sources = {"plain": PLAIN, "solve": SOLVE, "loop": LOOP, "attributes": ATTRIBUTES}
    fewer = {"plain": count, "solve": count // 4, "loop": count // 20, "attributes": count // 20}
    for source in sources.values():
        plainly(source)
    table = [
        (
            "exec in process",
            {n: timed(lambda s=s: plainly(s), fewer[n]) for n, s in sources.items()},  # type: ignore[misc]
        ),
        ("a persistent worker", {n: a_persistent_worker(s, fewer[n]) for n, s in sources.items()}),
        ("a process a block", {n: a_process_a_block(s, 8) for n, s in sources.items()}),
    ]
    levels: tuple[Isolation, ...] = ("language", "kernel", "kernel+language")
    table += [(f"sandbox, {level}", asyncio.run(in_the_sandbox(level, count))) for level in levels]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="repetitions of the quickest measurement")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    table = rows(arguments.count)
    names = list(dict.fromkeys(name for _, row in table for name in row))
    base = table[0][1]
    print(f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores; ms, x exec")
    print(f"| | {' | '.join(names)} |\n| --- {'| --- ' * len(names)}|")
    for title, row in table:
        cells = [
            ""
            if name not in row
            else f"{row[name]:.2f}" + (f" ({row[name] / base[name]:.2f}x)" if name in base else "")
            for name in names
        ]
        print(f"| {title} | {' | '.join(cells)} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(dict(table), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
