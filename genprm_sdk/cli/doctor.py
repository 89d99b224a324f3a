"""``genprm doctor``: what works on this machine, and what to install for the rest.

Every engine is looked at in a process of its own, because a broken build can end the process that imports it.
The sandbox and the bundled model are tried, not looked up.
"""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from rich.table import Table
from rich.text import Text

from ..errors import GenPRMError
from ..report.text import clean, one_line
from .codes import FAILED, FINE
from .opening import DEFAULT_MODEL, open_verifier
from .terminal import Progress, show

__all__ = ["Finding", "examine", "findings_table", "run_doctor"]

State = Literal["ok", "missing", "broken"]
STYLES: dict[State, str] = {"ok": "green", "missing": "yellow", "broken": "red"}

PACKAGES = (
    "pydantic", "anyio", "RestrictedPython", "sympy", "numpy", "scipy", "typer", "rich", "llama-cpp-python",
    "torch", "transformers", "gguf",
)  # fmt: skip

LLAMA_PROBE = """
import json, llama_cpp
gpu = bool(llama_cpp.llama_supports_gpu_offload())
kinds = llama_cpp.llama_print_system_info().decode().split("|")
backends = sorted({kind.split(":")[0].strip() for kind in kinds if ":" in kind})
print(json.dumps({"version": llama_cpp.__version__, "built for": " and ".join(backends), "GPU offload": gpu}))
"""
TORCH_PROBE = """
import json, torch
mps = getattr(torch.backends, "mps", None)
print(json.dumps({"version": torch.__version__, "cuda": torch.cuda.is_available(),
                  "mps": bool(mps and mps.is_available())}))
"""
TRANSFORMERS_PROBE = """
import json, transformers
print(json.dumps({"version": transformers.__version__}))
"""
PROBE_SECONDS = 120


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: Whether it works; ``missing`` is not installed, ``broken`` is there and fails.
        detail: What was seen.
        advice: How to get it, if it does not work.
        needed: Whether the default way, ``genprm check`` with the bundled model, depends on it.
    """

    subject: str
    state: State
    detail: str
    advice: str = ""
    needed: bool = False


def run_doctor(look: Callable[[], Sequence[Finding]] | None = None) -> int:
    """Print the findings; returns 0 if the default way works."""
    with Progress() as progress:
        progress.say("looking at engines, sandbox and models")
        findings = (look or examine)()
    show(findings_table(findings))
    failing = [finding for finding in findings if finding.needed and finding.state != "ok"]
    if failing:
        names = ", ".join(finding.subject for finding in failing)
        show(Text(f"`genprm check` does not work here: {names}.", style="red"))
        return FAILED
    show(Text("`genprm check` works here.", style="green"))
    return FINE


def findings_table(findings: Sequence[Finding]) -> Table:
    """The findings, advice below detail."""
    table = Table(title="genprm doctor")
    table.add_column("what", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for finding in findings:
        detail = Text(clean(finding.detail))
        if finding.advice and finding.state != "ok":
            detail.append(f"\n→ {clean(finding.advice)}", style="bold")
        table.add_row(finding.subject, Text(finding.state, style=STYLES[finding.state]), detail)
    return table


def examine() -> list[Finding]:
    """Look at everything; takes a few seconds."""
    llama = engine(
        "llama.cpp",
        LLAMA_PROBE,
        "llama-cpp-python",
        "pip install 'genprm-sdk[llama]' (needs a C++ compiler)",
        True,
    )
    transformers = "pip install 'genprm-sdk[transformers]' (for folders of safetensors, and training)"
    return [
        system(),
        llama,
        defaults(),
        engine("transformers", TRANSFORMERS_PROBE, "transformers", transformers),
        engine("torch", TORCH_PROBE, "torch", transformers),
        asyncio.run(sandbox()),
        *models(),
        asyncio.run(default_model(llama)),
        packages(),
    ]


def system() -> Finding:
    return Finding("system", "ok", f"Python {platform.python_version()}, {platform.platform()}")


def packages() -> Finding:
    found = [f"{name} {installed}" for name in PACKAGES if (installed := installed_version(name)) is not None]
    return Finding("packages", "ok", ", ".join([f"genprm-sdk {installed_version('genprm-sdk')}", *found]))


def installed_version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def engine(subject: str, probe: str, distribution: str, install: str, needed: bool = False) -> Finding:
    """Import an engine elsewhere and hear what it says about itself."""
    if installed_version(distribution) is None:
        return Finding(subject, "missing", f"{distribution} is not installed", install, needed)
    try:
        # -P: a file named like the engine in the working directory must not be taken for it.
        done = subprocess.run(
            [sys.executable, "-P", "-c", probe],
            capture_output=True,
            timeout=PROBE_SECONDS,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject, "broken", one_line(str(error)), f"reinstall: {install}", needed)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"importing it ended with status {done.returncode}"])[-1]
        return Finding(subject, "broken", one_line(last), f"reinstall: {install}", needed)
    return Finding(subject, "ok", describe(done.stdout), needed=needed)


def describe(output: str) -> str:
    """The last line of a probe's output; an engine may have greeted before."""
    facts: dict[str, object] = json.loads(output.strip().splitlines()[-1])
    words = {True: "yes", False: "no"}
    return ", ".join(
        f"{name}: {words[fact] if isinstance(fact, bool) else fact}" for name, fact in facts.items()
    )


def defaults() -> Finding:
    """What llama.cpp is loaded with where nothing else is asked for."""
    from ..engine import fit
    from ..engine.context import BATCH

    free = fit.available_bytes()
    memory = "unknown" if free is None else f"{free / 1e9:.1f} GB free"
    cores = fit.physical_cores()
    return Finding(
        "engine defaults",
        "ok",
        f"threads: {cores} (one for models under {fit.SMALL_BYTES >> 20} MiB), waiting threads sleep; "
        f"layers on the GPU: all, where there is one; flash attention: yes (not for models under "
        f"{fit.SMALL_BYTES >> 20} MiB); cache type: f16; batch: {BATCH} tokens; memory: {memory}",
    )


async def sandbox() -> Finding:
    """Start one and run a block in it."""
    from ..sandbox import Sandbox

    try:
        async with Sandbox() as box, box.session() as session:
            isolation = await box.ready()
            run = await session.run("print(6 * 7)")
    except GenPRMError as error:
        return Finding(
            "sandbox", "broken", str(error), "try --reasoning analysis, or a weaker --isolation", True
        )
    if run.stdout.strip() != "42":
        return Finding(
            "sandbox", "broken", f"{isolation}; a block ended with {run.status}: {run.feedback}", "", True
        )
    return Finding(
        "sandbox", "ok", f"isolation: {isolation}; a block took {1000 * run.duration:.1f} ms", needed=True
    )


def models() -> list[Finding]:
    """The bundled models' files."""
    from ..models import bundled_models

    return [
        Finding(f"model {model.name}", "ok", f"{model.description}; {model.path.stat().st_size / 1e6:.1f} MB")
        if model.path.is_file()
        else Finding(f"model {model.name}", "missing", f"{model.path} is not there", "reinstall genprm-sdk")
        for model in bundled_models()
    ]


async def default_model(llama: Finding) -> Finding:
    """Load the model that commands use by default."""
    subject = f"loading {DEFAULT_MODEL}"
    if llama.state != "ok":
        return Finding(subject, "broken", "llama.cpp does not work", llama.advice, True)
    try:
        async with open_verifier(DEFAULT_MODEL) as verifier:
            return Finding(subject, "ok", f"{verifier.name} is ready", needed=True)
    except GenPRMError as error:
        return Finding(subject, "broken", str(error), "reinstall genprm-sdk", True)
