"""A web service on one verifier and one agent: bounded, with a budget a request, cancelled with its client.

`uvicorn web_handler:app --limit-concurrency 200` serves it; as a program it serves and asks itself.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from genprm_sdk import Budget, GenPRMError, InputError, Report, Verifier
from genprm_sdk.agents import RefinementAgent, Trajectory, open_policy

AT_ONCE = 8
BUDGET = Budget(seconds=30, tokens=20_000)
Result = TypeVar("Result")


class Problem(BaseModel):
    problem: str
    steps: list[str] | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with Verifier("genprm-mini") as verifier, open_policy("policy-mini") as policy:
        agent = RefinementAgent(policy, verifier, turns=2)
        yield {"verifier": verifier, "agent": agent, "room": asyncio.Semaphore(AT_ONCE)}


app = FastAPI(lifespan=lifespan)


async def answered(request: Request, work: Callable[[], Awaitable[Result]]) -> Result:
    """The result of some work once there is room for it; it is cancelled when the client goes away."""

    async def working() -> Result:
        async with request.state.room:
            return await work()

    async def leaving() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    result, gone = asyncio.create_task(working()), asyncio.create_task(leaving())
    try:
        await asyncio.wait([result, gone], return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise HTTPException(499, "the client is gone")
        return result.result()
    finally:
        result.cancel()
        gone.cancel()
        await asyncio.wait([result, gone])


@app.exception_handler(GenPRMError)
async def refused(request: Request, error: GenPRMError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, InputError) else 500)


@app.post("/check")
async def check(asked: Problem, request: Request) -> Report:
    verifier: Verifier = request.state.verifier
    options = {"problem": asked.problem, "samples": 4, "budget": BUDGET}
    return await answered(request, lambda: verifier.check(asked.steps or [], **options))


@app.post("/solve")
async def solve(asked: Problem, request: Request) -> dict[str, Any]:
    agent: RefinementAgent = request.state.agent

    def work() -> Awaitable[Trajectory]:
        if asked.steps:
            return agent.refine(asked.problem, asked.steps, budget=BUDGET)
        return agent.solve(asked.problem, budget=BUDGET)

    found = await answered(request, work)
    return {"answer": found.answer, "verified": found.verified, "stopped": found.stopped}


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve([door]))
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=address, timeout=90) as client:

            async def ask(number: int) -> httpx2.Response:
                problem = f"There are {number} boxes of 14 pencils each. How many pencils are there?"
                steps = [f"There are {number} * 14 = {14 * number} pencils."]
                asked = {"problem": problem, "steps": steps if number % 2 else None}
                return await client.post("/check" if number % 2 else "/solve", json=asked)

            answers = await asyncio.gather(*(ask(number) for number in range(2, 22)))
            print(sum(answer.status_code == 200 for answer in answers), "of", len(answers), "answered")
            print(answers[0].json(), answers[1].json()["verdict"])
            nothing = await client.post("/check", json={"problem": "What is 1 + 1?"})
            print(nothing.status_code, nothing.json()["detail"])
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
