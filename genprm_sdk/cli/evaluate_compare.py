"""``genprm eval compare``: two finished or stopped runs beside each other, of benchmarks or of agents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from ..agents.comparison import AgentComparison, compare_agents, read_agent_run
from ..agents.evaluating import is_agent_kind
from ..evaluation import writing
from ..evaluation.comparison import Comparison, Difference, compare, read_run
from ..evaluation.scaling import AVERAGE
from ..json_objects import json_object
from ..report.text import one_line
from .codes import FINE
from .terminal import note, show, write_line

__all__ = ["compare_runs"]


def compare_runs(first: Path, second: Path, *, as_json: bool, seed: int = 0) -> int:
    """Show how far the second run is from the first; returns the exit code.

    Raises:
        InputError: They cannot be compared.
    """
    found: Comparison | AgentComparison
    if is_agent_kind(benchmark_of(first)):
        found = compare_agents(read_agent_run(first), read_agent_run(second), seed)
        names, rows = ("chosen by", "at"), found.accuracy
    else:
        found = compare(read_run(first), read_run(second), seed)
        names, rows = ("subset", "metric"), dict(found.subsets)
        if found.average is not None:
            rows[AVERAGE] = found.average
    if as_json:
        write_line(found.model_dump_json())
    else:
        title = f"{found.first.benchmark}: {second} less {first}, {found.records} records"
        show(comparison_table(title, names, rows))
    note(f"settings that differ: {', '.join(settings_apart(found)) or 'none'}")
    if found.only_first or found.only_second:
        note(
            f"{found.records} records are in both; left out: {found.only_first} of {first} and "
            f"{found.only_second} of {second}"
        )
    return FINE


def benchmark_of(folder: Path) -> object:
    """What a folder says it is a run of; what is wrong with it is said by whoever reads it."""
    try:
        return json_object((folder / "settings.json").read_bytes()).get("benchmark")
    except (OSError, ValueError):
        return None


def settings_apart(found: Comparison | AgentComparison) -> list[str]:
    mine, theirs = found.first.model_dump(mode="json"), found.second.model_dump(mode="json")
    for fields in (mine, theirs):
        fields.update(fields.pop("others", {}))
    return [
        f"{name} {mine.get(name)} and {theirs.get(name)}"
        for name in dict.fromkeys([*mine, *theirs])
        if mine.get(name) != theirs.get(name)
    ]


def comparison_table(
    title: str, names: tuple[str, str], rows: Mapping[str, Mapping[str, Difference]]
) -> Table:
    table = Table(
        title=one_line(title),
        caption="interval of the difference: paired percentile bootstrap over records",
    )
    table.add_column(names[0], overflow="fold")
    table.add_column(names[1], no_wrap=True)
    for name in ("first %", "second %", "difference", "95% interval"):
        table.add_column(name, no_wrap=True, justify="right")
    for group, metrics in rows.items():
        for number, (name, apart) in enumerate(metrics.items()):
            table.add_row(one_line(group) if number == 0 else "", name, *difference_cells(apart))
        table.add_section()
    return table


def difference_cells(apart: Difference) -> tuple[str, str, str, str]:
    share = writing.shown_share
    value = apart.difference.value
    signed = "–" if value is None else f"{100 * value:+.1f}"
    return share(apart.first), share(apart.second), signed, writing.shown_interval(apart.difference)
