"""A model as a folder in the Hugging Face layout, which is what fine-tuning starts from and ends with."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from genprm_sdk.errors import InputError, ModelFileError
from genprm_sdk.json_objects import json_object
from genprm_sdk.models import VerifierSettings, fetch, locate, read_gguf_metadata

from ..sft import TIED, build_model, load_tied
from ..tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS
from ..trained import model_of_file

__all__ = ["add_setting", "base_folder", "folder_of_file", "settings_of"]


def base_folder(model: str, target: Path) -> Path:
    """The folder of a model that can be trained on.

    Args:
        model: A folder in the Hugging Face layout, or a repository of a hub that was downloaded; or a bundled
            model's name or a GGUF file that this library's training wrote, whose weights are then written to
            ``target`` in float32.
        target: A folder that may be written.

    Raises:
        InputError: It is the address of a server.
        DownloadError: It is a repository that is not on this machine.
        UnknownModelError: There is no such model.
        ModelFileError: The file is damaged, or none that this library's training wrote.
    """
    located = locate(model)
    if located.kind == "server":
        raise InputError(f"{model:.80} is a server: a model that is trained must be a folder or a repository")
    path = located.path or asyncio.run(fetch(located, offline=True))
    if path.is_dir():
        return path
    folder_of_file(path, target)
    return target


def folder_of_file(file: Path, folder: Path) -> None:
    """Write a GGUF file's weights, in float32, and its vocabulary as a folder; what is there is replaced.

    Raises:
        ModelFileError: The file is damaged, or none that this library's training wrote.
    """
    trained = model_of_file(file)
    model = build_model(trained.shape, seed=0, attention="sdpa")
    load_tied(model, trained.weights)
    model.config.genprm = {
        key.removeprefix("genprm."): value
        for key, value in read_gguf_metadata(file).items()
        if key.startswith("genprm.")
    }
    model.config.update({"use_cache": True, "architectures": [type(model).__name__], "dtype": "float32"})
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != TIED}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    trained.tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL_TOKENS[0],
        "pad_token": SPECIAL_TOKENS[0],
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def settings_of(folder: Path) -> VerifierSettings:
    """How a folder's model wants to be used.

    Raises:
        ModelFileError: Its configuration cannot be read, or it is no verifier.
    """
    _, stored = _config(folder)
    return VerifierSettings.from_metadata(
        {f"genprm.{key}": tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    )


def add_setting(folder: Path, key: str, value: str) -> None:
    """Write something into a folder's configuration of how its model wants to be used.

    Raises:
        ModelFileError: It cannot be read.
    """
    path = folder / "config.json"
    config, stored = _config(folder)
    config["genprm"] = {**stored, key: value}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A folder's configuration, and what it says of how its model wants to be used."""
    path = folder / "config.json"
    try:
        config = json_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} cannot be read: {error}") from None
    stored = config.get("genprm") or {}
    if not isinstance(stored, dict):
        raise ModelFileError(f"{path} cannot be read: genprm must be an object")
    return config, stored
