"""Draw the picture of the README: a real check of one of the demo's solutions."""

from __future__ import annotations

import asyncio
import json
import re
from importlib.resources import files
from io import StringIO
from pathlib import Path

from rich.console import Console

from genprm_sdk import Verifier
from genprm_sdk.report.terminal import render_report

WHICH = 0


async def main() -> None:
    lines = files("genprm_sdk").joinpath("data/demo.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[WHICH])
    async with Verifier("genprm-mini") as verifier:
        report = await verifier.check(record["steps"], problem=record["problem"], samples=4)
    console = Console(record=True, width=88, file=StringIO(), force_terminal=True)
    console.print(render_report(report, title="genprm check expression.json --samples 4"))
    picture = console.export_svg(title="genprm")
    path = Path(__file__).parent / "images" / "check.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL), encoding="utf-8")


asyncio.run(main())
