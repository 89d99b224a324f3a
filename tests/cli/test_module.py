"""The command as a module, where its script is not on the path."""

from __future__ import annotations

import subprocess
import sys


def test_python_m_is_the_command() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "genprm_sdk", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run("models", "list").stdout.count("genprm-mini") == 1
    wrong = run("check", "missing.jsonl")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no such file" in wrong.stderr
