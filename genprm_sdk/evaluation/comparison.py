"""Two runs on the same records: how far apart they are, and whether that may be chance.

The records that both have are resampled in pairs: a resample holds both runs' results of a record or neither
(paired bootstrap, Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; of two systems on one test
set: Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel

from ..errors import InputError
from ..json_objects import json_object
from ..types import Frozen
from .metrics import (
    DEFINED_IN_PART,
    METRICS,
    UNKNOWN,
    Estimate,
    Metric,
    Tally,
    averaged,
    estimate_of,
    resampled,
    row_of,
)
from .outcome import Outcome
from .settings import Settings
from .store import Result, read_results, read_unchecked

__all__ = ["Comparison", "Difference", "Run", "compare", "differences", "paired", "read_folder", "read_run"]

AnySettings = TypeVar("AnySettings", bound=BaseModel)


class Run(Frozen):
    """A run as its folder holds it."""

    folder: str
    settings: Settings
    outcomes: dict[str, Outcome]


class Difference(Frozen):
    """One metric of both runs.

    Attributes:
        first: Of the first run, on the records that both have.
        second: Of the second.
        difference: The second less the first, with its 95% interval.
    """

    first: float | None
    second: float | None
    difference: Estimate


class Comparison(Frozen):
    """Two runs on the records that both have.

    Attributes:
        first: What decided the first run's results.
        second: And the second's.
        records: How many both have.
        only_first: Records that the first alone has, or that have changed since.
        only_second: The same of the second.
        subsets: Differences by subset and metric.
        average: Of the unweighted means over the subsets; None if there is one only.
    """

    first: Settings
    second: Settings
    records: int
    only_first: int
    only_second: int
    subsets: dict[str, dict[str, Difference]]
    average: dict[str, Difference] | None


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Read a run's folder, also that of a run that is not finished.

    Raises:
        InputError: It holds no run on a benchmark, or none of this version's format.
    """
    kinds = "processbench, bigbench-mistake, prmbench or labelled"
    settings, outcomes, unchecked = read_folder(Path(folder), Settings, Outcome, kinds)
    for key, reason in unchecked.items():
        subset = key.rpartition("/")[0]
        outcomes[key] = Outcome(key=key, subset=subset, labelled=False, error=reason)
    return Run(folder=str(folder), settings=settings, outcomes=outcomes)


def read_folder(
    folder: Path, kind: type[AnySettings], result: type[Result], kinds: str
) -> tuple[AnySettings, dict[str, Result], dict[str, str]]:
    """The settings, the results by their keys, and why there is none of others; see ``read_unchecked``.

    Args:
        folder: A run's.
        kind: What its settings are.
        result: What a result is.
        kinds: Which runs these are, for the error.

    Raises:
        InputError: It holds no such run, or none of this version's format.
    """
    try:
        fields = json_object((folder / "settings.json").read_bytes())
        results = read_results(folder / "results.jsonl", result)
        settings = kind.model_validate(fields)
    except OSError as error:
        raise InputError(
            f"{folder} holds no run that can be read ({error.strerror or error}): give a folder that "
            "genprm eval wrote with --out"
        ) from None
    except ValueError:
        settings = None
    # The first format did not say which it is, and a default would hide that.
    if settings is None or "format" not in fields:
        raise InputError(
            f"{folder} holds no run of {kinds} in this version's format: give a folder that such a genprm "
            "eval wrote with --out"
        )
    return settings, results, read_unchecked(folder, results)


def compare(first: Run, second: Run, seed: int = 0) -> Comparison:
    """Hold the second run against the first.

    Args:
        first: A run.
        second: Another on the same benchmark.
        seed: Of the resamples.

    Raises:
        InputError: They are of different benchmarks, or have no record in common.
    """
    benchmark = first.settings.benchmark
    require_same_benchmark((first.folder, benchmark), (second.folder, second.settings.benchmark))
    pairs = paired((first.folder, first.outcomes), (second.folder, second.outcomes))
    rows: dict[str, list[list[int]]] = {}
    for mine, theirs in pairs:
        rows.setdefault(mine.subset, []).append([*row_of(mine), *row_of(theirs)])
    tallies = {subset: Tally.of_rows(paired) for subset, paired in rows.items()}
    counted = [tally for subset, tally in tallies.items() if averaged(benchmark, subset)]
    metrics = METRICS[benchmark]
    part = benchmark in DEFINED_IN_PART
    return Comparison(
        first=first.settings,
        second=second.settings,
        records=len(pairs),
        only_first=len(first.outcomes) - len(pairs),
        only_second=len(second.outcomes) - len(pairs),
        subsets={subset: differences(metrics, [tally], seed) for subset, tally in tallies.items()},
        average=differences(metrics, counted, seed, where_defined=part) if len(tallies) > 1 else None,
    )


def require_same_benchmark(first: tuple[str, str], second: tuple[str, str]) -> None:
    """Take two folders, each with what its run is.

    Raises:
        InputError: They are not of one kind.
    """
    if first[1] != second[1]:
        raise InputError(
            f"{first[0]} is a run on {first[1]}, {second[0]} one on {second[1]}: give two runs on the same "
            "benchmark"
        )


def paired(
    first: tuple[str, Mapping[str, Result]], second: tuple[str, Mapping[str, Result]]
) -> list[tuple[Result, Result]]:
    """Results of the same record, of two folders with their results.

    Raises:
        InputError: There are none.
    """
    pairs = [
        (mine, theirs)
        for key, mine in first[1].items()
        if (theirs := second[1].get(key)) is not None and theirs.digest == mine.digest
    ]
    if not pairs:
        raise InputError(
            f"{first[0]} and {second[0]} have no record in common: give two runs on the same data"
        )
    return pairs


def differences(
    metrics: Mapping[str, Metric], subsets: Sequence[Tally], seed: int, *, where_defined: bool = False
) -> dict[str, Difference]:
    """Metrics' unweighted means over subsets, of two runs.

    Args:
        metrics: By name, of one run's part of a row.
        subsets: Rows of which the first half is the first run's and the second half the second's.
        seed: Of the resamples.
        where_defined: Whether the mean is over the subsets that have the metric in both runs.
    """
    if not subsets:
        return dict.fromkeys(metrics, Difference(first=None, second=None, difference=UNKNOWN))
    width = subsets[0].rows.shape[1] // 2
    sums = [tally.sum for tally in subsets]
    draws = resampled(subsets, seed)
    found = {}
    for name, metric in metrics.items():
        values = [(float(metric(each[:width])), float(metric(each[width:]))) for each in sums]
        used = [at for at, pair in enumerate(values) if not (where_defined and np.isnan(pair).any())]
        if not used or any(np.isnan(values[at]).any() for at in used):
            found[name] = Difference(first=None, second=None, difference=UNKNOWN)
            continue
        mine, theirs = (float(np.mean([values[at][side] for at in used])) for side in (0, 1))
        apart = np.mean([metric(draws[at][:, width:]) - metric(draws[at][:, :width]) for at in used], axis=0)
        found[name] = Difference(first=mine, second=theirs, difference=estimate_of(theirs - mine, apart))
    return found
