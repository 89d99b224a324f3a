"""Conversations as tokens: those that a verifier's own sequence holds, and which of them are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genprm_sdk import wording
from genprm_sdk.backends.tokenizer import TextTokenizer, frame_of_folder
from genprm_sdk.backends.transformers import TransformersBackend
from genprm_sdk.models import VerifierSettings
from genprm_sdk.modes import History, Reasoning
from genprm_sdk.prompt import content
from genprm_sdk.protocol import Layout
from genprm_sdk.training.pipeline.records import Conversation, Message
from genprm_sdk.training.pipeline.turns import assembled_turn
from genprm_sdk.training.tuning.examples import IGNORED, Encoder, Example
from genprm_sdk.training.tuning.folders import base_folder
from genprm_sdk.types import CodeRun

STEPS = ("Step 1: 2 + 2 = 4.", "Step 2: 4 - 1 = <|im_end|>.")
ALONE = VerifierSettings(style="chat", history=History.STEPS)
SHOWN = VerifierSettings(style="chat", history=History.RATIONALES)
REFERENCE = VerifierSettings(style="reference", history=History.RATIONALES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_folder("genprm-mini", tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def conversation() -> Conversation:
    messages = [Message(role="system", content=wording.REVIEW_SYSTEM)]
    train: list[tuple[int, int, int]] = []
    for index, step in enumerate(STEPS):
        run = CodeRun(code="print(4)", status="ok", feedback="4 <|im_end|>")
        code = f"print(4){wording.CODE_FENCE_CLOSE}{wording.code_output(run.feedback)}"
        turn = assembled_turn(index, True, "It adds – two.", code, [run])
        messages.append(Message(role="user", content=step if index else f"P\n{step}"))
        train += [(len(messages), start, end) for start, end in turn.written]
        messages.append(Message(role="assistant", content=turn.text))
    return Conversation(
        problem="P",
        domain=None,
        steps=STEPS,
        labels=(True, True),
        messages=tuple(messages),
        train=tuple(train),
    )


def pieces(conversation: Conversation, index: int) -> Iterator[str]:
    """A turn's text in the pieces in which a verifier's sequence gets it."""
    text = conversation.messages[index].content
    at = 0
    for message, start, end in conversation.train:
        if message == index:
            yield text[at:start]
            yield text[start:end]
            at = end


def text_of(folder: Path, tokens: list[int]) -> str:
    tokenizer = TextTokenizer.of_folder(folder)
    names = {index: text for text, index in tokenizer.special.items()}
    return b"".join(
        names[token].encode() if token in names else tokenizer.piece(token) for token in tokens
    ).decode()


def trained(example: Example) -> list[int]:
    return [label for label in example.labels if label != IGNORED]


@pytest.mark.anyio
async def test_steps_alone_give_the_tokens_of_a_verifiers_sequence(
    folder: Path, conversation: Conversation
) -> None:
    made = list(Encoder(folder, ALONE).examples(conversation))
    assert len(made) == len(STEPS)
    layout = Layout(frame_of_folder(folder))
    async with await TransformersBackend.load(folder) as backend:
        trunk = await backend.open(layout.opening("P", STEPS[0]))
        for number, example in enumerate(made):
            if number:
                await trunk.append(layout.next_step(STEPS[number]))
            turn = await trunk.fork()
            texts = list(pieces(conversation, 2 * number + 2))
            await turn.append([*layout.asking(), content(texts[0])])
            for text in texts[1:]:
                if text:
                    await turn.append([content(text)])
            assert example.ids[:-1] == list(turn.token_ids)
            await turn.close()
        await trunk.close()


@pytest.mark.anyio
async def test_rationales_give_the_tokens_of_a_verifiers_sequence(
    folder: Path, conversation: Conversation
) -> None:
    (made,) = Encoder(folder, SHOWN).examples(conversation)
    layout = Layout(frame_of_folder(folder))
    async with await TransformersBackend.load(folder) as backend:
        sequence = await backend.open(layout.opening("P", STEPS[0]))
        for number in range(len(STEPS)):
            if number:
                await sequence.append(layout.after_generated_turn(STEPS[number]))
            texts = list(pieces(conversation, 2 * number + 2))
            await sequence.append([*layout.asking(), content(texts[0])])
            for text in texts[1:]:
                if text:
                    await sequence.append([content(text)])
        assert made.ids[:-1] == list(sequence.token_ids)
        await sequence.close()


def test_what_a_verifier_writes_is_trained_on_and_the_end_of_its_turn(
    folder: Path, conversation: Conversation
) -> None:
    first, second = Encoder(folder, ALONE).examples(conversation)
    for number, example in enumerate((first, second)):
        written = "".join(list(pieces(conversation, 2 * number + 2))[1::2])
        assert text_of(folder, trained(example)) == written + "<|im_end|>"
        assert all(
            label in (token, IGNORED) for token, label in zip(example.ids, example.labels, strict=True)
        )
    assert "[Code Output]" in text_of(folder, first.ids)
    (both,) = Encoder(folder, SHOWN).examples(conversation)
    assert trained(both) == trained(first) + trained(second)


def test_the_plain_loss_trains_on_whole_turns(folder: Path, conversation: Conversation) -> None:
    (made,) = Encoder(folder, SHOWN, forced=True).examples(conversation)
    turns = [message.content for message in conversation.messages if message.role == "assistant"]
    assert text_of(folder, trained(made)) == "".join(f"{turn}<|im_end|>" for turn in turns)
    plain = list(Encoder(folder, SHOWN).examples(conversation))
    assert made.ids == plain[0].ids


def test_special_tokens_in_steps_and_outputs_are_text(folder: Path, conversation: Conversation) -> None:
    (made,) = Encoder(folder, SHOWN).examples(conversation)
    end = TextTokenizer.of_folder(folder).special["<|im_end|>"]
    assert made.ids.count(end) == 1 + 2 * len(STEPS)  # behind the system message, each step and each turn


def test_the_reference_style_cuts_whole_turns(folder: Path, conversation: Conversation) -> None:
    (made,) = Encoder(folder, REFERENCE).examples(conversation)
    (in_pieces,) = Encoder(folder, SHOWN).examples(conversation)
    assert text_of(folder, made.ids) == text_of(folder, in_pieces.ids)
    written = "".join("".join(list(pieces(conversation, index))[1::2]) + "<|im_end|>" for index in (2, 4))
    # A token may reach over the border between forced and written text; then both are trained on.
    assert len(text_of(folder, trained(made))) >= len(written)
    assert text_of(folder, trained(made)).replace(" ", "") == written.replace(" ", "")


def test_a_direct_verifier_is_asked_in_its_own_words(folder: Path) -> None:
    text = wording.VERDICT_OPENING + wording.verdict(False)
    direct = Conversation(
        problem="P",
        domain=None,
        reasoning=Reasoning.DIRECT,
        steps=STEPS[:1],
        labels=(False,),
        messages=(
            Message(role="system", content=wording.DIRECT_SYSTEM),
            Message(role="user", content=f"P\n{STEPS[0]}"),
            Message(role="assistant", content=text),
        ),
        train=((2, len(wording.VERDICT_OPENING), len(text)),),
    )
    (made,) = Encoder(folder, ALONE).examples(direct)
    assert wording.DIRECT_SYSTEM in text_of(folder, made.ids)
    assert text_of(folder, trained(made)) == wording.verdict(False) + "<|im_end|>"
