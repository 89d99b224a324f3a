"""What ``import genprm_sdk`` adds to starting Python: the median of alternating runs, in seconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 11


def started(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    bare, importing = [], []
    started("import genprm_sdk")
    for _ in range(RUNS):
        bare.append(started("pass"))
        importing.append(started("import genprm_sdk"))
    extra = statistics.median(importing) - statistics.median(bare)
    print(f"bare interpreter {statistics.median(bare):.3f} s")
    print(f"import genprm_sdk {statistics.median(importing):.3f} s, {extra:.3f} s more (aim: under 0.3)")


if __name__ == "__main__":
    main()
