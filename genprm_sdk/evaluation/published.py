"""What others have published on the same benchmarks, to stand beside a run's own numbers. Not measured here.

Sources. ProcessBench: tables 1 and 7 of arXiv 2504.00891 (GenPRM), averages of the four subsets' F1.
BIG-Bench-Mistake: arXiv 2311.08516, the best of its promptings of GPT-4, about 53% on average.
"""

from __future__ import annotations

from ..types import Frozen
from .datasets import Benchmark

__all__ = ["PUBLISHED", "Published"]

GENPRM = "arXiv 2504.00891"


class Published(Frozen):
    """One published number.

    Attributes:
        model: Whose it is.
        samples: Verification paths: 1, or the N of Maj@N; None where it is no such method.
        metric: Its name in the tables here; the average over the subsets.
        value: A share.
        source: Where it is printed.
    """

    model: str
    samples: int | None
    metric: str
    value: float
    source: str

    @property
    def name(self) -> str:
        """The model, and how it was asked."""
        if self.samples is None:
            return self.model
        return f"{self.model}, {'one path' if self.samples == 1 else f'Maj@{self.samples}'}"


def _f1(model: str, samples: int | None, percent: float) -> Published:
    return Published(model=model, samples=samples, metric="f1", value=percent / 100, source=GENPRM)


PUBLISHED: dict[Benchmark, tuple[Published, ...]] = {
    "processbench": (
        _f1("GenPRM-1.5B", 1, 57.3),
        _f1("GenPRM-1.5B", 8, 63.4),
        _f1("GenPRM-7B", 1, 75.2),
        _f1("GenPRM-7B", 8, 80.5),
        _f1("GenPRM-32B", 1, 77.6),
        _f1("GenPRM-32B", 8, 82.6),
        _f1("GPT-4o", None, 61.9),
        _f1("Qwen2.5-Math-PRM-7B", None, 73.5),
        _f1("Qwen2.5-Math-PRM-72B", None, 78.3),
    ),
    "bigbench-mistake": (
        Published(
            model="GPT-4, best prompting",
            samples=None,
            metric="exact",
            value=0.53,
            source="arXiv 2311.08516, about",
        ),
    ),
    "labelled": (),
    "prmbench": (),
}
"""Results of others by benchmark, published and not measured here."""
