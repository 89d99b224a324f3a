"""Benchmarks: records in, the benchmark's own metric out.

    items = load("processbench", Path("data/processbench"))
    settings = Settings.of("processbench", "genprm-mini", samples=8)
    async with Verifier("genprm-mini") as verifier:
        store = ResultStore.open(Path("out"), settings, Outcome)
        outcomes = await run(verifier, items, settings, store=store)
    summary = summarise(settings, outcomes)
    store.conclude(summary)
    write_run(store.folder, summary, outcomes)

``reading.py`` (JSON files, broken ones too) -> ``datasets.py`` (what a record means) -> ``runner.py`` (every
record through a checker) with ``store.py`` (what was finished before) -> ``outcome.py`` (one record's result)
-> ``metrics.py`` (scores with intervals), ``scaling.py`` (what fewer paths would have come to),
``summary.py`` (all of it), ``comparison.py`` (two runs) -> ``writing.py`` with ``plots.py``, ``svg.py`` and
``page.py`` (what people look at). ``calibration.py`` asks how well scores can be taken at their word. Agents
on problems with answers are measured in ``genprm_sdk.agents`` (``evaluating.py``, ``accuracy.py``,
``comparison.py``), which use this room.

The names here are loaded when they are first used: importing this loads no numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import Comparison, Difference, Run, compare, read_run
    from .datasets import Benchmark, Item, Unreadable, load
    from .metrics import METRICS, Estimate, Scores, Tally, estimate, estimate_average, score
    from .outcome import Outcome, PathOutcome, StepOutcome
    from .published import PUBLISHED, Published
    from .runner import Checker, run
    from .scaling import Point, scaling_curves
    from .settings import Settings
    from .store import ResultStore
    from .summary import Failure, Summary, summarise
    from .writing import write_run

__all__ = [
    "METRICS",
    "PUBLISHED",
    "Benchmark",
    "Checker",
    "Comparison",
    "Difference",
    "Estimate",
    "Failure",
    "Item",
    "Outcome",
    "PathOutcome",
    "Point",
    "Published",
    "ResultStore",
    "Run",
    "Scores",
    "Settings",
    "StepOutcome",
    "Summary",
    "Tally",
    "Unreadable",
    "compare",
    "estimate",
    "estimate_average",
    "load",
    "read_run",
    "run",
    "scaling_curves",
    "score",
    "summarise",
    "write_run",
]

_MODULES = {
    "comparison": ("Comparison", "Difference", "Run", "compare", "read_run"),
    "datasets": ("Benchmark", "Item", "Unreadable", "load"),
    "metrics": ("METRICS", "Estimate", "Scores", "Tally", "estimate", "estimate_average", "score"),
    "outcome": ("Outcome", "PathOutcome", "StepOutcome"),
    "published": ("PUBLISHED", "Published"),
    "runner": ("Checker", "run"),
    "scaling": ("Point", "scaling_curves"),
    "settings": ("Settings",),
    "store": ("ResultStore",),
    "summary": ("Failure", "Summary", "summarise"),
    "writing": ("write_run",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
