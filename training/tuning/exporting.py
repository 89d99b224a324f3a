"""A fine-tuned model's way out: GGUF files that compute what its folder computes, and what is said of them.

Nothing stands under a file's final name that has not been compared with the folder. Smaller types are made by
llama.cpp of a file in F16 that has been compared, too: what is off there is off by a mistake, while a smaller
type's own error would hide it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from genprm_sdk.backends.tokenizer import frame_of_folder
from genprm_sdk.errors import InputError, ModelError, ModelFileError
from genprm_sdk.prompt import ChatFrame, Segment, content, control

from ..pipeline.records import Message
from .card import CardFacts, Exported, model_card
from .gguf_file import check_folder, write_gguf
from .parity import Parity, ParityError, compare
from .quantise import DIRECT, known_type, quantise
from .readings import Readings, read_folder
from .threads import Check, in_thread

__all__ = ["Exported", "conversation_segments", "export_folder"]

PLAIN = "F16"
"""What llama.cpp makes smaller types of."""

FIGURES = "parity.json"
REFUSED = "refused.json"
CHUNK = 1 << 22
_FILE_NAME = re.compile(r"\w[\w.-]*")


async def export_folder(
    folder: Path,
    out: Path,
    name: str,
    quantizations: Sequence[str],
    texts: Sequence[Sequence[Message]],
    *,
    base: str,
    licence: str | None = None,
    records: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    tolerances: Mapping[str, float] | None = None,
    longest: int = 2048,
    device: str = "cpu",
    threads: int | None = None,
    hear: Callable[[str], None] = lambda line: None,
) -> tuple[Exported, ...]:
    """Write a model as GGUF files ``NAME-TYPE.gguf``, with ``parity.json`` and a card, ``README.md``.

    Args:
        folder: The model, of Qwen2's architecture, in the Hugging Face layout.
        out: The folder to write to.
        name: What the model is called.
        quantizations: Types of the files; see ``write_gguf``.
        texts: Conversations to compare them on, each a system message, then a user's and an assistant's in
            turns.
        base: What it was made of, for the card.
        licence: Its licence, for the card.
        records: How it was made, for the card: rows of a name and a value, by the titles of sections.
        tolerances: In place of the usual ones, by type; see ``compare``.
        longest: Tokens of a text that are compared.
        device: The torch device for the folder's model; files run on the CPU.
        threads: CPU threads of llama.cpp.
        hear: Called with a line when something begins or is done.

    Raises:
        InputError: An argument makes no sense, or the model's sizes do not go with a type.
        ModelFileError: The folder's model cannot be written; or a file computes something else: what was
            finished before it is kept, and ``refused.json`` says by how much this one is off.
        GenPRMError: Something cannot be run or written.

    Returns:
        The files in the order they were written: the one in F16 first, where there is one.
    """
    kinds = tuple(dict.fromkeys(map(known_type, quantizations)))
    if not kinds:
        raise InputError("no type of file was named: f16 and q8_0 suit most")
    if not _FILE_NAME.fullmatch(name):
        raise InputError(f"{name!r:.80} cannot be the name of a file: use letters, digits, '.', '_' and '-'")
    own = {known_type(kind): tolerance for kind, tolerance in (tolerances or {}).items()}
    await in_thread(lambda check: check_folder(folder, kinds))
    frame = frame_of_folder(folder)
    prompts = [conversation_segments(frame, messages) for messages in texts]
    hear(f"running {folder} over {len(prompts)} texts")
    readings = await read_folder(folder, prompts, longest=longest, device=device)
    export = _Export(folder, out, name, readings, own, threads, hear)
    exported: list[Exported] = []
    try:
        await in_thread(lambda check: out.mkdir(parents=True, exist_ok=True))
        for kind in sorted(kinds, key=lambda kind: kind != PLAIN):
            try:
                exported.append(await export.release(kind))
            except ParityError as error:
                found = {"name": name, "quantization": kind, "parity": asdict(error.found)}
                _replace(out / REFUSED, json.dumps(found, indent=1) + "\n")
                raise ModelFileError(f"{error}; the figures are in {out / REFUSED}") from error
            _replace(out / FIGURES, _figures(name, exported))
        (out / REFUSED).unlink(missing_ok=True)
        facts = CardFacts(name, base, licence, records or {}, exported)
        _replace(out / "README.md", model_card(facts))
    except OSError as error:
        raise ModelError(f"{out} cannot be written to: {error}") from error
    finally:
        export.clean()
    return tuple(exported)


def conversation_segments(frame: ChatFrame, messages: Sequence[Message]) -> list[Segment]:
    """A conversation in a model's chat template.

    Raises:
        InputError: Its messages are not a system's, then a user's and an assistant's in turns.
    """
    roles = [message.role for message in messages]
    if len(roles) < 2 or roles != ["system", *(["user", "assistant"] * len(roles))][: len(roles)]:
        raise InputError(
            f"a conversation goes system, user, assistant, user and so on, not {', '.join(roles) or 'empty'}"
        )
    before = [frame.opening, frame.system_to_user]
    before += [frame.user_to_assistant, frame.assistant_to_user] * (len(roles) // 2)
    return [
        segment
        for text, message in zip(before, messages, strict=False)
        for segment in (control(text), content(message.content))
    ]


class _Export:
    """The files of one model."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        name: str,
        readings: Readings,
        tolerances: Mapping[str, float],
        threads: int | None,
        hear: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._out = out
        self._name = name
        self._readings = readings
        self._tolerances = tolerances
        self._threads = threads
        self._hear = hear
        self._plain: Path | None = None

    async def release(self, kind: str) -> Exported:
        """Write and compare the file of a type, and only then give it its name."""
        target = self._path(kind)
        part = _part_of(target)
        try:
            await self._write(kind, part)
            parity = await self._compare(kind, part)
            digest = await in_thread(partial(_sha256, part))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        if kind == PLAIN:
            self._plain = target
        return Exported(target, kind, target.stat().st_size, digest, parity)

    def clean(self) -> None:
        """Remove a file in F16 that only smaller types were made of."""
        if self._plain is not None and self._plain != self._path(PLAIN):
            self._plain.unlink(missing_ok=True)

    def _path(self, kind: str) -> Path:
        return self._out / f"{self._name}-{kind}.gguf"

    async def _write(self, kind: str, part: Path) -> None:
        if kind in DIRECT:
            self._hear(f"writing {self._path(kind).name}")
            await in_thread(lambda check: write_gguf(self._folder, part, kind, name=self._name, check=check))
            return
        if self._plain is None:
            self._plain = _part_of(self._path(PLAIN))
            await self._write(PLAIN, self._plain)
            await self._compare(PLAIN, self._plain)
        plain = self._plain
        self._hear(f"writing {self._path(kind).name}")
        await in_thread(lambda check: quantise(plain, part, kind, self._threads))

    async def _compare(self, kind: str, part: Path) -> Parity:
        file = self._path(kind).name
        self._hear(f"comparing {file} with {self._folder}")
        tolerance = self._tolerances.get(kind)
        found = await compare(self._readings, part, tolerance=tolerance, threads=self._threads)
        self._hear(
            f"{file}: log-probabilities off by {found.mean:.2g} on average and {found.largest:.2g} at most; "
            f"the same likeliest token at {found.agreement:.2%} of {found.positions:,} positions"
        )
        return found


def _figures(name: str, exported: Sequence[Exported]) -> str:
    files = {
        file.path.name: {
            "quantization": file.quantization,
            "size": file.size,
            "sha256": file.sha256,
            "parity": asdict(file.parity),
        }
        for file in exported
    }
    return json.dumps({"name": name, "files": files}, indent=1) + "\n"


def _sha256(path: Path, check: Check) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            check()
            digest.update(chunk)
    return digest.hexdigest()


def _replace(path: Path, text: str) -> None:
    part = _part_of(path)
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")
