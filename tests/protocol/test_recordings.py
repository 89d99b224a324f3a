"""Prompts, stops, turns and rewards are those of the reference implementation, byte for byte.

A recording is one JSON object a line: mode, problem, steps and, for every turn, the model calls (prompt, stop
strings, the completion that was given), the assistant's text and the reward.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genprm_sdk.prompt import ChatFrame, Segment
from genprm_sdk.protocol import (
    Append,
    Execute,
    Generate,
    Generated,
    Layout,
    ReadVerdict,
    Rewind,
    TurnResult,
    TurnSettings,
    verification_turn,
)
from genprm_sdk.types import CodeRun

HERE = Path(__file__).parent

DEEPSEEK_TEMPLATE = (
    "{{ bos_token }}"
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
    "{% elif m.role == 'assistant' %}"
    "{{ '<｜Assistant｜>' + (m.content.split('</think>') | last) + '<｜end▁of▁sentence｜>' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"
)
FRAME = ChatFrame.from_template(DEEPSEEK_TEMPLATE, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")


@dataclass
class Call:
    prompt: str
    stop: tuple[str, ...]


@dataclass
class Replayed:
    calls: list[Call]
    result: TurnResult


def text_of(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


class ScriptedModel:
    """Gives the recorded completions, piece by piece where the machine pauses in one."""

    def __init__(self, completions: list[str], p_yes: float, outputs: dict[str, str]) -> None:
        self.completions = list(completions)
        self.p_yes = p_yes
        self.outputs = outputs
        self.left = ""

    def play(self, prompt: str, step: int, settings: TurnSettings) -> Replayed:
        machine = verification_turn(step, settings)
        text, calls = "", []
        action: Any = next(machine)
        while True:
            answer: Any
            if isinstance(action, Append):
                text += action.text
                answer = len(text)
            elif isinstance(action, Rewind):
                text, self.left = action.text, ""
                answer = len(text)
            elif isinstance(action, ReadVerdict):
                answer = (self.p_yes, 1 - self.p_yes)
            elif isinstance(action, Execute):
                assert action.code is not None
                feedback = self.outputs[action.code]
                answer = CodeRun(code=action.code, status="ok", feedback=feedback)
            else:
                assert isinstance(action, Generate)
                if not self.left:
                    calls.append(Call(prompt + text, action.stop))
                    self.left = self.completions.pop(0)
                piece, ended_by = self._cut((*action.stop, *action.pause))
                text += piece
                answer = Generated(piece, ended_by, len(text))
            try:
                action = machine.send(answer)
            except StopIteration as end:
                return Replayed(calls, end.value)

    def _cut(self, stops: tuple[str, ...]) -> tuple[str, str | None]:
        hits = [(self.left.find(stop) + len(stop), stop) for stop in stops if stop in self.left]
        if not hits:
            piece, self.left = self.left, ""
            return piece, None
        end, stop = min(hits)
        piece, self.left = self.left[:end], self.left[end:]
        return piece, stop


def replay(case: dict[str, Any], outputs: dict[str, str]) -> list[Replayed]:
    """Play a whole recording; every turn sees the text that the machine itself wrote before."""
    mode = case["mode"]
    settings = TurnSettings(
        analysis=mode["analyze"],
        code=mode["verify"],
        execute=mode["execute"],
        analysis_tokens=10**6,
        turn_tokens=10**6,
        verdict_tokens=10**6,
    )
    layout = Layout(FRAME, style="reference", direct=not (mode["analyze"] or mode["verify"]))
    prompt = text_of(layout.opening(case["problem"], case["steps"][0]))
    turns = []
    for index, turn in enumerate(case["turns"]):
        model = ScriptedModel([call["completion"] for call in turn["calls"]], turn["p_yes_given"], outputs)
        played = model.play(prompt + text_of(layout.asking()), index, settings)
        turns.append(played)
        if index + 1 < len(case["steps"]):
            prompt += text_of(layout.after_turn(played.result.text, case["steps"][index + 1]))
    return turns


def cases() -> list[Any]:
    """The repository's own cases, and those of a file that GENPRM_PROTOCOL_RECORDINGS names."""
    paths = [HERE / "recordings.jsonl"]
    if extra := os.environ.get("GENPRM_PROTOCOL_RECORDINGS"):
        paths.append(Path(extra))
    return [pytest.param(case, id=case["id"]) for path in paths for case in load(path)]


def outputs_of(case: dict[str, Any]) -> dict[str, str]:
    """What each block of a recording printed: given beside it, or read off the prompt of the next call."""
    if "outputs" in case:
        return dict(case["outputs"])
    outputs = {}
    for turn in case["turns"]:
        for call, following in zip(turn["calls"], turn["calls"][1:], strict=False):
            before = call["prompt"] + call["completion"]
            if call["completion"].endswith("\n```\n") and following["prompt"].startswith(before):
                code = call["completion"].removesuffix("\n```\n").rpartition("```python\n")[2]
                shown = following["prompt"].removeprefix(before)
                outputs[code] = shown.removeprefix("[Code Output]\n\n```\n").removesuffix("\n```\n")
    return outputs


@pytest.mark.parametrize("case", cases())
def test_calls_turns_and_rewards_equal_the_recording(case: dict[str, Any]) -> None:
    for turn, played in zip(case["turns"], replay(case, outputs_of(case)), strict=True):
        assert [(call.prompt, list(call.stop)) for call in played.calls] == [
            (call["prompt"], call["stop"]) for call in turn["calls"]
        ]
        assert played.result.text == turn["assistant"]
        assert played.result.score == pytest.approx(turn["reward"], abs=1e-12)
