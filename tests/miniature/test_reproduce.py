"""The command on the bundled models: it goes on where it was, and a page comes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def reproduce(out: Path, *only: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "benchmarks/reproduce.py",
        "--scale",
        "smoke",
        "--out",
        str(out),
        "--only",
        *only,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=True)


def test_a_run_goes_on_from_what_is_kept(tmp_path: Path) -> None:
    first = reproduce(tmp_path, "scaling")
    assert "4 of 4 solutions judged" in first.stderr
    page = tmp_path / "reproduction.md"
    assert "**not run yet**: Analysis, code" in page.read_text(encoding="utf-8")

    judged = next((tmp_path / "judged").glob("*.jsonl"))
    lines = judged.read_text(encoding="utf-8").splitlines(keepends=True)
    judged.write_text("".join(lines[:2]), encoding="utf-8")
    (tmp_path / "results" / "scaling.json").write_text('{"scale": {"name": "smoke"}}', encoding="utf-8")
    again = reproduce(tmp_path, "scaling", "tokens", "failures", "adaptive")
    assert "analysis+code: 3 of 4" in again.stderr
    assert "analysis+code: 2 of 4" not in again.stderr
    kept = judged.read_text(encoding="utf-8").splitlines(keepends=True)
    assert kept[:2] == lines[:2]
    assert len(kept) == 4
    text = page.read_text(encoding="utf-8")
    assert "Test-time scaling of the verifier (table 1)" in text
    for title in ("Tokens (table 9)", "Code that fails", "Voting that stops, and a cascade"):
        assert f"## {title}" in text
        assert f"{title}; " not in text.split("## What is borne out")[1].split("## ")[0]

    assert "solutions judged" not in reproduce(tmp_path, "scaling").stderr


def test_agents_go_on_from_the_same_first_attempts(tmp_path: Path) -> None:
    reproduce(tmp_path, "refinement")
    solved = tmp_path / "solved"
    first = (solved / "first.jsonl").read_text(encoding="utf-8")
    assert len(first.splitlines()) == 3
    reproduce(tmp_path, "best-of-n")
    assert (solved / "first.jsonl").read_text(encoding="utf-8") == first
    text = (tmp_path / "reproduction.md").read_text(encoding="utf-8")
    for critic in ("genprm", "genprm, keeping the prefix", "the policy itself", "a random step", "an oracle"):
        assert f"| {critic} | " in text
    assert "| any of N | " in text
