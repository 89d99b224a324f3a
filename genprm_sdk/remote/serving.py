"""What a server serves: which model, with what context, chat template and tokenizer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backends.tokenizer import TextTokenizer, frame_of_folder
from ..errors import BackendError, InputError
from ..prompt import ChatFrame, control
from .fleet import Fleet, Home
from .probing import Capabilities, probe
from .tokens import LocalTokens, ServerTokens, Tokens

__all__ = ["Serving", "find_serving"]

TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]


@dataclass(frozen=True)
class Serving:
    """What a server serves.

    Attributes:
        model: Its name there.
        context: Tokens that one sequence can hold, where the server tells.
        frame: Its chat template.
        tokens: Its tokenizer, or None where prompts must be text.
        capabilities: What the server can do.
    """

    model: str
    context: int | None
    frame: ChatFrame
    tokens: Tokens | None
    capabilities: Capabilities


async def find_serving(
    fleet: Fleet, model: str | None, tokenizer: str | Path | None, template: str | None
) -> Serving:
    """Find out what servers serve.

    Args:
        fleet: The servers; what the first that answers says holds for all.
        model: The model's name there; needed only where they serve several.
        tokenizer: A folder with the model's tokenizer, or its Hugging Face repository.
        template: The chat template, in place of that of the tokenizer or the server.

    Raises:
        InputError: There are several models, or none of this name; or no chat template is to be had.
        BackendError: The servers do not answer.
    """
    home = Home()
    models = await fleet.ask(home, lambda server: server.get("/v1/models"))
    entry = _entry(models, model)
    name = str(entry["id"]) if entry else model
    if name is None:
        raise InputError("the server does not tell which model it serves: give its name as model")
    props = await fleet.ask(home, lambda server: server.get("/props")) or {}
    folder = await _folder(tokenizer or _name_of_files(entry), asked=tokenizer is not None)
    frame = await _frame(template, folder, props)
    tokens: Tokens | None = None
    if folder is not None:
        tokens = LocalTokens(await asyncio.to_thread(TextTokenizer.of_folder, folder))
    elif await _tokenizes(fleet, home):
        tokens = ServerTokens(lambda body: fleet.ask(home, lambda server: server.post("/tokenize", body)))
    beginning = frame.opening + "1" + frame.system_to_user
    short = None if tokens is None else await tokens.of_segments([control(beginning)])
    capabilities = await probe(fleet, name, short, beginning)
    return Serving(
        model=name,
        context=_context(entry, props),
        frame=frame,
        tokens=tokens if capabilities.token_prompts else None,
        capabilities=capabilities,
    )


def _entry(models: Mapping[str, Any] | None, model: str | None) -> Mapping[str, Any] | None:
    listed = models.get("data") if models else None
    entries = [
        each
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    ]
    if not entries:
        return None
    names = ", ".join(each["id"] for each in entries)
    if model is None:
        if len(entries) > 1:
            raise InputError(f"the server serves several models, give one as model: {names:.500}")
        return entries[0]
    for each in entries:
        if each["id"] == model:
            return each
    raise InputError(f"the server does not serve {model!r:.200}; it serves {names:.500}")


def _name_of_files(entry: Mapping[str, Any] | None) -> str | None:
    """Where a server says that it has its model from: vLLM and SGLang tell, as ``root``."""
    root = entry.get("root") if entry else None
    return root if isinstance(root, str) and root else None


async def _folder(name: str | Path | None, *, asked: bool) -> Path | None:
    """The folder of a tokenizer that lies here or comes from the hub; None where nobody asked for one."""
    if name is None:
        return None
    folder = Path(name)
    try:
        if await asyncio.to_thread((folder / "tokenizer.json").is_file):
            return folder
        return await asyncio.to_thread(_from_hub, str(name))
    except Exception as error:  # the hub's client raises those of several libraries, a path the system's
        if asked:
            raise InputError(
                f"no tokenizer can be had from {str(name)!r:.200}: give a folder with a tokenizer.json, or a "
                f"Hugging Face repository ({type(error).__name__}: {error!s:.200})"
            ) from error
        return None


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    folder = Path(snapshot_download(repository, allow_patterns=TOKENIZER_FILES))
    if not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError("it has no tokenizer.json")
    return folder


async def _frame(template: str | None, folder: Path | None, props: Mapping[str, Any]) -> ChatFrame:
    if template is not None:
        return await asyncio.to_thread(ChatFrame.from_template, template)
    if folder is not None:
        return await asyncio.to_thread(frame_of_folder, folder)
    served = props.get("chat_template")
    if isinstance(served, str) and served:
        bos, eos = (str(props.get(f"{name}_token", "")) for name in ("bos", "eos"))
        return await asyncio.to_thread(ChatFrame.from_template, served, bos, eos)
    raise InputError(
        "the server tells neither its chat template nor where its tokenizer is: open it with "
        "OpenAIBackend.connect of genprm_sdk.backends.openai, whose tokenizer is a folder or a Hugging Face "
        "repository, and whose template a chat template"
    )


async def _tokenizes(fleet: Fleet, home: Home) -> bool:
    """Whether there is a tokenizer that can be told to take text as text."""
    body = {"content": "1", "add_special": False, "parse_special": False, "with_pieces": True}
    try:
        answer = await fleet.ask(home, lambda server: server.post("/tokenize", body))
    except BackendError:
        return False
    found = answer.get("tokens")
    return isinstance(found, list) and all(
        isinstance(each, dict) and {"id", "piece"} <= each.keys() for each in found
    )


def _context(entry: Mapping[str, Any] | None, props: Mapping[str, Any]) -> int | None:
    meta = entry.get("meta") if entry else None
    settings = props.get("default_generation_settings")
    found = (
        settings.get("n_ctx") if isinstance(settings, dict) else None,
        entry.get("max_model_len") if entry else None,
        meta.get("n_ctx") if isinstance(meta, dict) else None,
    )
    return next((each for each in found if isinstance(each, int) and each > 0), None)
