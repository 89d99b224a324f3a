"""``genprm models``: which models there are, which are here, and getting and deleting them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ..errors import DownloadError, InputError, UnknownModelError
from ..models import Arrived, Located, Plan, bundled_models, fetch, known_models, locate, plan_download
from ..report.text import one_line
from .codes import FINE, INTERRUPTED
from .terminal import Progress, note, show, stderr_console, write_line

__all__ = ["bring_model", "list_models", "pull_model", "remove_model", "show_model"]

DEFAULT_SAMPLES = 8
SECONDS_BETWEEN_LINES = 10.0


def list_models() -> int:
    """Print the bundled models, the known ones, and what is in the cache."""
    from ..models.cache import HubCache

    table = _table("bundled models", "name", "role", "size", "what it does")
    for model in bundled_models():
        table.add_row(model.name, model.role, _bytes(model.path.stat().st_size), model.description)
    show(table)
    cache = HubCache()
    downloaded = {entry.repo: entry for entry in cache.downloaded()}
    table = _table("known models", "name", "quantised", "whole", "here", "what it does")
    for known in known_models():
        entries = (downloaded.get(repo) for repo in (known.gguf_repo, known.repo))
        here = ", ".join(held for entry in entries if entry for held in entry.holds)
        sizes = (f"about {_bytes(size)}" for size in (known.gguf_size, known.size))
        table.add_row(known.name, *sizes, one_line(here) or "no", known.description)
    show(table)
    if downloaded:
        table = _table(f"downloaded to {cache.folder}", "repository", "size", "holds")
        for entry in downloaded.values():
            table.add_row(one_line(entry.repo), _bytes(entry.size), one_line(", ".join(entry.holds)))
        show(table)
    return FINE


def _table(title: str, *columns: str) -> Table:
    table = Table(title=one_line(title))
    for column in columns:
        table.add_column(column, no_wrap=column not in (columns[-1], "here"))
    return table


def pull_model(name: str, *, offline: bool, yes: bool) -> int:
    """Download a model, and print where it lies.

    Raises:
        UnknownModelError: There is no such model.
        DownloadError: It cannot be downloaded.
        InputError: It is a server.
    """
    from huggingface_hub import is_offline_mode

    located = locate(name)
    if located.hub is None or offline or is_offline_mode():
        write_line(str(asyncio.run(fetch(located, offline=True))))
        return FINE
    try:
        path = _downloaded(located, yes=yes)
    except KeyboardInterrupt:
        note("interrupted: what came is kept, and the same command goes on from there")
        return INTERRUPTED
    if path is None:
        note("nothing was downloaded")
        return FINE
    write_line(str(path))
    return FINE


def bring_model(name: str) -> None:
    """Download a model that a command needs and that is not here, having shown what that takes.

    Raises:
        GenPRMError: It cannot be downloaded, or the user does not want it.
    """
    from ..models.cache import HubCache

    located = locate(name)
    if located.hub is None or HubCache().find(located.hub) is not None:
        return
    if _downloaded(located, yes=False) is None:
        raise DownloadError(f"{located.name} was not downloaded")


def _downloaded(located: Located, *, yes: bool) -> Path | None:
    """Where a model lies now, in its newest state; None if the user does not want it."""
    plan = asyncio.run(plan_download(located))
    _announce(plan)
    plan.check_room()
    if plan.here < plan.size and not yes and not _agreed():
        return None
    with _arriving(plan) as progress:
        return asyncio.run(fetch(located, refresh=True, progress=progress))


def _announce(plan: Plan) -> None:
    from ..engine.fit import available_bytes

    here = f", {_bytes(plan.here)} of them here already" if plan.here else ""
    files = "one file" if len(plan.files) == 1 else f"{len(plan.files)} files"
    note(f"{plan.source}: {_bytes(plan.size)} in {files}{here}; {_bytes(plan.free)} are free on the disk")
    free = available_bytes()
    if free is not None:
        verdict = "" if plan.weights <= free else ": too little for the model to run here without a GPU"
        note(f"its weights take {_bytes(plan.weights)} of memory, and {_bytes(free)} are free{verdict}")


def _agreed() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write("Download it? [Y/n] ")  # typer's own question leaves a space on stdout
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("", "y", "yes") and answer != ""


@contextmanager
def _arriving(plan: Plan) -> Iterator[Callable[[Arrived], None]]:
    """A bar on a terminal, a line now and then elsewhere."""
    console = stderr_console()
    if not console.is_terminal or console.is_dumb_terminal:
        with Progress(every=SECONDS_BETWEEN_LINES) as progress:
            yield lambda arrived: progress.say(
                f"{arrived.file}: {_bytes(arrived.here)} of {_bytes(arrived.size)} are here"
            )
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(
        TextColumn("{task.description}", markup=False), *columns, console=console, transient=True
    ) as bar:
        task = bar.add_task("", total=plan.size, completed=plan.here)
        yield lambda arrived: bar.update(
            task, description=one_line(arrived.file), total=arrived.size, completed=arrived.here
        )


def show_model(name: str, *, samples: int | None = None, as_json: bool = False) -> int:
    """Print what a model's files say of it; of a bundled one its card as it stands, Markdown.

    Args:
        name: Which model.
        samples: Verification paths that memory is reckoned for; without it a bundled model's card is all.
        as_json: Print the facts alone, as one JSON object.

    Raises:
        UnknownModelError: There is no such model.
        DownloadError: It is not on this machine.
        ModelFileError: Its files cannot be read.
        InputError: It is a server.
    """
    located = locate(name)
    card = next((model.card for model in bundled_models() if model.path == located.path), None)
    if card is not None and not as_json:
        sys.stdout.write(card.read_text(encoding="utf-8"))
        if samples is None:
            return FINE
    facts = _facts(located, _path_of(located), samples or DEFAULT_SAMPLES)
    if as_json:
        write_line(json.dumps(facts))
        return FINE
    table = Table(show_header=False, box=None, title=one_line(located.name), title_justify="left")
    for label, text in _described(facts):
        table.add_row(label, one_line(text))
    show(table)
    return FINE


def _path_of(located: Located) -> Path:
    from ..models.cache import HubCache

    path = located.path or (HubCache().find(located.hub) if located.hub else None)
    if path is not None:
        return path
    if located.hub is None:
        raise InputError(f"{located.name} is a server: its files are not here to be looked at")
    raise DownloadError(f"{located.name} is not on this machine: run `genprm models pull {located.name}`")


def _facts(located: Located, path: Path, samples: int) -> dict[str, object]:
    from ..backends.llama_cpp import DEFAULT_CONTEXT
    from ..engine.fit import available_bytes
    from ..models.facts import read_facts
    from ..models.memory import memory_needed

    facts = read_facts(path)
    context = min(facts.context or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    memory = memory_needed(
        facts.metadata, weights=facts.size, samples=samples, context=context, cache_type=facts.cache_type
    )
    free = available_bytes()
    return {
        "name": located.name,
        "path": str(path),
        "architecture": facts.architecture,
        "context": facts.context,
        "chat_template": facts.chat_template,
        "tokenizer": facts.tokenizer,
        "quantisation": facts.quantisation,
        "parameters": facts.parameters,
        "size": facts.size,
        "memory": {
            "samples": samples,
            "context": context,
            "weights": memory.weights,
            "token": memory.token,
            "cache": memory.cache,
            "total": memory.total,
        },
        "free_memory": free,
        "fits": None if free is None else memory.total <= free,
    }


def _described(facts: dict[str, object]) -> Iterator[tuple[str, str]]:
    memory, free, template = facts["memory"], facts["free_memory"], str(facts["chat_template"]).strip()
    assert isinstance(memory, dict)
    yield "path", str(facts["path"])
    yield "architecture", f"{facts['architecture']}, {facts['parameters']:,} parameters"
    yield "weights", f"{facts['quantisation']}, {_bytes(memory['weights'])}"
    yield "context", f"{facts['context']:,} tokens"
    yield "tokenizer", str(facts["tokenizer"])
    yield "chat template", template.partition("\n")[0] if template else "none: it is not a model to chat with"
    yield (
        "memory",
        f"{_bytes(memory['total'])} at most for {memory['samples']} samples: {_bytes(memory['weights'])} of "
        f"weights, and {memory['samples']} x {memory['context']:,} tokens of {memory['token']:,} bytes",
    )
    if isinstance(free, int):
        yield "fits here", f"{'yes' if facts['fits'] else 'no'}: {_bytes(free)} are free"


def remove_model(name: str) -> int:
    """Delete a downloaded model.

    Raises:
        InputError: It was not downloaded: it is bundled, a file of the caller's, or a server.
        UnknownModelError: There is no such model, or it is not here.
    """
    from ..models.cache import HubCache

    located = locate(name)
    if located.hub is None:
        raise InputError(
            f"{located.name} was not downloaded, so there is nothing of it to remove from the cache"
        )
    cache = HubCache()
    freed = cache.remove(located.hub)
    if not freed:
        raise UnknownModelError(f"{located.hub} is not in {cache.folder}")
    note(f"removed {located.hub}: {freed:,} bytes are free again")
    return FINE


def _bytes(count: int) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
