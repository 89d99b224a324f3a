"""The verifier as the reward of TRL's GRPO: a completion is worth what its least convincing step is.

Three steps on the bundled policy: they show that the parts fit, and improve nothing that could be measured.
"""

import random
import tempfile
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from genprm_sdk.agents import final_answer, plain_answer, split_solution
from genprm_sdk.sync import Verifier
from genprm_sdk.training.tuning.folders import base_folder
from genprm_sdk.training.worlds import WORLDS
from genprm_sdk.types import Solution
from genprm_sdk.wording import SOLVING_REQUEST

Chat = list[dict[str, str]]

torch.set_num_threads(1)  # so small a model gains nothing from more


def exercises(count: int) -> Dataset:
    rows = []
    for number in range(count):
        exercise = WORLDS["arithmetic"].exercise(random.Random(f"grpo/{number}"))
        prompt = [{"role": "user", "content": exercise.problem + SOLVING_REQUEST}]
        rows.append({"prompt": prompt, "problem": exercise.problem, "answer": exercise.answer})
    return Dataset.from_list(rows)


class LeastStep:
    """Scores all completions of a step together; what has no steps or no answer is worth nothing."""

    __name__ = "least_step"

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier

    def __call__(
        self, completions: list[Chat], problem: list[str], answer: list[str], **_: object
    ) -> list[float]:
        texts = [chat[0]["content"] for chat in completions]
        answers = [final_answer(text) for text in texts]
        usable = [place for place, found in enumerate(answers) if found and split_solution(texts[place])]
        solutions = [Solution.of(split_solution(texts[place]), problem[place]) for place in usable]
        rewards = [0.0] * len(texts)
        checks = self.verifier.check_many(solutions, concurrency=8, ordered=True, adaptive=False)
        for place, checked in zip(usable, checks, strict=True):
            rewards[place] = (checked.report.scores.min if checked.report else None) or 0.0
        right = [
            found is not None and plain_answer(found) == plain_answer(truth)
            for found, truth in zip(answers, answer, strict=True)
        ]
        agree = sum((reward >= 0.5) == truth for reward, truth in zip(rewards, right, strict=True))
        print(
            f"mean reward {sum(rewards) / len(rewards):.2f}, right answers {sum(right) / len(right):.2f}, "
            f"reward and truth agree on {agree} of {len(right)} completions"
        )
        return rewards


with tempfile.TemporaryDirectory() as temporary, Verifier("genprm-mini") as verifier:
    folder = base_folder("policy-mini", Path(temporary) / "policy")
    trainer = GRPOTrainer(
        model=str(folder),
        # The policy ends its answers as it was taught to end a turn.
        processing_class=AutoTokenizer.from_pretrained(folder, eos_token="<|im_end|>"),
        reward_funcs=LeastStep(verifier),
        train_dataset=exercises(6),
        args=GRPOConfig(
            output_dir=str(Path(temporary) / "run"),
            max_steps=3,
            per_device_train_batch_size=8,
            num_generations=4,
            max_completion_length=160,
            learning_rate=1e-5,
            beta=0.0,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=1,
        ),
    )
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    trainer.train()
    after = [weight.detach() for weight in trainer.model.parameters()]
    moved = max(float((new - old).abs().max()) for new, old in zip(after, before, strict=True))
    print(f"{trainer.state.global_step} steps; the weight that moved most moved by {moved:.0e}")
