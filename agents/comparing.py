"""The process that compares answers by what they mean: a pair of texts a line in, true or false a line out.

Only LaTeX is read, by way of math-verify's grammar: its reader of plain expressions evaluates Python.
"""

from __future__ import annotations

import json
import sys

MEMORY = 2 << 30


def equal(one: str, other: str) -> bool:
    """Whether two answers mean the same."""
    from math_verify import LatexExtractionConfig, parse, verify

    only_latex = [LatexExtractionConfig()]
    gold, target = (
        parse(f"$\\boxed{{{text}}}$", extraction_config=only_latex, parsing_timeout=None)
        for text in (one, other)
    )
    return bool(gold and target and verify(gold, target, timeout_seconds=None))


def limit_memory() -> None:
    """Let this process have so much memory and no more, where the system knows such limits."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def main() -> None:
    limit_memory()
    for line in sys.stdin:
        try:
            same = equal(*json.loads(line))
        except Exception:  # whatever a parser raises over somebody's text: they cannot be called the same
            same = False
        sys.stdout.write(f"{json.dumps(same)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
