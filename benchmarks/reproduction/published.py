"""What the paper reports (arXiv 2504.00891): of models a thousand times larger, on other problems.

ProcessBench F1 in percent, averaged over its four subsets without weights, unless something else is said.
"""

from __future__ import annotations

from genprm_sdk.evaluation.published import PUBLISHED

__all__ = [
    "COMPONENTS",
    "LABELS",
    "REFINEMENT",
    "SIZES",
    "TOKENS_A_RESPONSE",
    "TOKENS_A_STEP",
]

_F1 = {(each.model, each.samples): round(100 * each.value, 1) for each in PUBLISHED["processbench"]}
SIZES = {size: (_F1[f"GenPRM-{size}", 1], _F1[f"GenPRM-{size}", 8]) for size in ("1.5B", "7B", "32B")}
"""One sample and the mean of 8, by size (table 1)."""

COMPONENTS = {
    "direct": 60.0,
    "analysis": 79.3,
    "analysis+code-unexecuted": 79.9,
    "analysis+code": 80.5,
}
"""Mean of 8 samples, 7B (table 5)."""

LABELS = {
    "hard": "73.2",
    "difference": "74.1 to 74.3",
    "ratio 0.5": "73.5",
    "ratio 0.8": "75.2",
    "ratio 1.0": "72.3",
}
"""One sample, 7B (tables 3 and 4)."""

REFINEMENT = {
    "genprm": (45.7, 49.8, 50.7, 51.5),
    "self-refine": (45.7, 46.3, 46.0, 46.1),
    "DeepSeek-R1-Distill-7B as critic": (45.7, 46.8, 47.3, 47.2),
}
"""Right answers before and after 1, 2 and 3 turns, average of four sets and two policies (table 2)."""

TOKENS_A_STEP = "345 to 503"
TOKENS_A_RESPONSE = "2,771 to 4,877"
