"""Record what a model answers once, then test your own code against it in milliseconds, without the model."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from genprm_sdk import Verifier
from genprm_sdk.backends.llama_cpp import LlamaCppBackend
from genprm_sdk.backends.replay import RecordingBackend, ReplayBackend
from genprm_sdk.models import find_model

PROBLEM = "Omar has 96 cards. Omar packs the cards evenly into 8 boxes. How many cards is one share?"
STEPS = ["Dividing by 8 gives 96 / 8 = 14 cards."]


async def record(file: Path) -> None:
    loaded = await LlamaCppBackend.load(find_model("genprm-mini")[1])
    async with RecordingBackend(loaded, file) as backend, Verifier(backend=backend) as verifier:
        report = await verifier.check(STEPS, problem=PROBLEM, samples=2, seed=1)
    print("recorded:", report.verdict, report.steps[0].score)


async def replay(file: Path) -> None:
    async with await ReplayBackend.load(file) as backend, Verifier(backend=backend) as verifier:
        report = await verifier.check(STEPS, problem=PROBLEM, samples=2, seed=1)
    print("replayed:", report.verdict, report.steps[0].score)


with TemporaryDirectory() as folder:
    asyncio.run(record(Path(folder) / "check.jsonl"))
    asyncio.run(replay(Path(folder) / "check.jsonl"))
