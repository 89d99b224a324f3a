"""All measurements of speed, one after another, as one page: what ran, on what, and what each script said.

A measurement goes beside its peers within one script's run, and says its medians, its spread and its ratios;
times of different scripts are not compared. Run it on a machine that does nothing else: the load before each
part stands beside it. What was measured is kept, so that a run that was stopped goes on; ``--again`` forgets.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("genprm-sdk", "llama-cpp-python", "xllamacpp", "torch", "transformers", "numpy")
HEAD = """\
# Benchmarks

`make bench` measured all of this and wrote this page: on {machine}.
A figure is a ratio, or stands beside its peers in one run; no time is a promise about another machine.

{versions}
"""


@dataclass(frozen=True)
class Part:
    """One script with its options; those for a quick look are smaller."""

    title: str
    script: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()

    def options(self, *, quick: bool) -> tuple[str, ...]:
        return self.quick if quick else self.full

    @property
    def about(self) -> str:
        """The first paragraph of what the script says of itself."""
        text = ast.get_docstring(ast.parse((HERE / self.script).read_text(encoding="utf-8"))) or ""
        return text.split("\n\n")[0]


PARTS = (
    Part("Engine", "engine.py", ("--shapes", "tiny,0.5b"), ("chains", "--shapes", "tiny", "--repeats", "1")),
    Part(
        "Backend transformers",
        "torch_engine.py",
        ("--shapes", "mini", "0.5b"),
        ("--shapes", "mini", "--repeats", "1"),
    ),
    Part("Sandbox", "sandbox.py", (), ("--count", "50")),
    Part(
        "A whole check",
        "check_overhead.py",
        ("--shape", "0.5b"),
        ("--shape", "tiny", "--checks", "1", "--many", "0"),
    ),
    Part(
        "Agents at once",
        "agents_concurrency.py",
        (),
        ("--alone", "4", "--levels", "8"),
    ),
    Part("Import", "import_time.py"),
)


def measured(part: Part, kept: Path, *, quick: bool) -> str:
    """What the script said, now or when it was last run to its end."""
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    load = os.getloadavg()[0]
    command = [sys.executable, str(HERE / part.script), *part.options(quick=quick)]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{part.script} ended with status {done.returncode}")
    shown = " ".join(["python", f"benchmarks/{part.script}", *part.options(quick=quick)])
    text = (
        f"    {shown}\n\nLoad before: {load:.2f}; it took {time.monotonic() - started:.0f} s.\n\n"
        f"```text\n{done.stdout.strip()}\n```\n"
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(text, encoding="utf-8")
    return text


def machine() -> str:
    return f"{os.cpu_count()} cores, {processor()}, {platform.system()} {platform.release()}"


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> str:
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    rows = [f"| {name} | {number} |" for name, number in found]
    return "\n".join(["| package | version |", "| --- | --- |", *rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller measurements, in minutes")
    parser.add_argument("--again", action="store_true", help="forget what an earlier run measured")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder of the page")
    given = parser.parse_args()
    folder = given.out / ("quick" if given.quick else "full")
    sections, failed = [], []
    for part in PARTS:
        kept = folder / f"{Path(part.script).stem}.md"
        if given.again:
            kept.unlink(missing_ok=True)
        print(f"==> {part.title}", file=sys.stderr, flush=True)
        try:
            text = measured(part, kept, quick=given.quick)
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            failed.append(part.title)
            text = f"Not measured: {error}.\n"
        sections.append(f"## {part.title}\n\n{part.about}\n\n{text}")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "benchmarks.md"
    head = HEAD.format(machine=machine(), versions=versions())
    page.write_text("\n".join([head, *sections]), encoding="utf-8")
    print(f"wrote {page}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
