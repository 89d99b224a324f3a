"""The exact words of the GenPRM protocol (arXiv 2504.00891 and its reference implementation).

Text only. The order in which the words are forced, generated and read is the business of ``protocol``; the
training data is written in the same words.
"""

from __future__ import annotations

__all__ = [
    "ANALYSIS_CLOSE",
    "CODE_FENCE_CLOSE",
    "CODE_FENCE_OPEN",
    "DIRECT_SYSTEM",
    "OUTPUT_CLOSE",
    "REVIEW_SYSTEM",
    "SOLVING_REQUEST",
    "STEP_SEPARATOR",
    "VERDICT_CANDIDATES",
    "VERDICT_MARK",
    "VERDICT_OPENING",
    "VERIFY_CLOSE",
    "VERIFY_OPENING",
    "analysis_opening",
    "code_output",
    "critique",
    "verdict",
]

REVIEW_SYSTEM = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution step by step."
)
DIRECT_SYSTEM = (
    "You are a math teacher. Your task is to review and critique the paragraphs in solution directly. "
    "Output your judgement in the format of `\\boxed{Yes}` if the paragraph is correct, or `\\boxed{No}` "
    "if the paragraph is incorrect."
)

ANALYSIS_CLOSE = "</analyze>\n"
VERIFY_OPENING = "<verify>\nLet's use python code to find any potential error:\n```python\n"
VERIFY_CLOSE = "</verify>\n"
CODE_FENCE_OPEN = "```python\n"
CODE_FENCE_CLOSE = "\n```\n"
VERDICT_MARK = "\\boxed"
VERDICT_OPENING = "<output>\n**Judgement**: $\\boxed"
VERDICT_CANDIDATES = ("{Yes}", "{No}")
OUTPUT_CLOSE = "</output>\n"

SOLVING_REQUEST = "\n\nPlease reason step by step, and put your final answer within \\boxed{}."
"""What follows a problem that a policy is asked to solve."""

STEP_SEPARATOR = "\n\n"
"""Between the steps of one user turn, where earlier rationales are not shown."""


def analysis_opening(step: int) -> str:
    """The forced start of an analysis; ``step`` counts from 0, the text from 1."""
    return f"<analyze>\nLet's analyze the Paragraph {step + 1} step by step: "


def code_output(feedback: str) -> str:
    """What stands in the turn after a code block was run."""
    return f"[Code Output]\n\n```\n{feedback}\n```\n"


def verdict(correct: bool) -> str:
    """What follows ``VERDICT_OPENING`` in a finished turn."""
    return f"{VERDICT_CANDIDATES[0 if correct else 1]}$\n{OUTPUT_CLOSE}"


def critique(step: str, reason: str) -> str:
    """The user turn that asks a policy to repair its solution.

    Args:
        step: The text of the step that is challenged.
        reason: What is said against it.
    """
    return (
        "There might be some problem in this paragraph of your reasoning, please rethink and refine your "
        f"answer:\n>{step}\n\n{reason}"
    )
