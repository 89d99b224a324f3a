"""A LoRA adapter put into the weights of the model it was trained on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from genprm_sdk.errors import InputError, MissingExtraError, ModelError, ModelFileError
from genprm_sdk.torch_engine.loading import DTYPES, Placement, load_model, read_config

__all__ = ["merge_adapter"]

ADAPTER = "adapter_model.safetensors"
LORA = "lora_"
"""In the names of an adapter's own weights."""

KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
"""Files of the tokenizer, which training an adapter does not change."""


def merge_adapter(base: Path, adapter: Path, target: Path) -> None:
    """Write a model with an adapter's changes in its weights.

    The base is loaded in the type its weights are stored in, also where the adapter was trained on a
    quantised copy of it. Its tokenizer's files and what config.json says of the method are kept.

    Args:
        base: The folder of the model that the adapter was trained on.
        adapter: The adapter's folder, as peft writes it.
        target: The folder to write; replaced whole or not at all.

    Raises:
        MissingExtraError: peft is not installed.
        InputError: The target is the base or the adapter, or holds something else than a model.
        ModelFileError: The base is quantised or damaged; there is no adapter, it is damaged, or it belongs to
            another model.
        ModelError: The target cannot be written.
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
    except ImportError as error:
        raise MissingExtraError("peft", "train", "Merging an adapter") from error
    if target.resolve() in (base.resolve(), adapter.resolve()):
        raise InputError(f"{target} would be overwritten by what is made of it: name another folder")
    if target.is_dir() and any(target.iterdir()) and not (target / "config.json").is_file():
        raise InputError(f"{target} holds something else than a model: name another folder")
    for name in ("adapter_config.json", ADAPTER):
        if not (adapter / name).is_file():
            raise ModelFileError(f"there is no adapter in {adapter}: {name} is missing")
    config = read_config(base)
    if getattr(config, "quantization_config", None) is not None:
        raise ModelFileError(f"{base} is quantised: give the model in full precision")
    kind = str(config.dtype).removeprefix("torch.")
    dtype = kind if kind in DTYPES else "float32"
    model, _ = load_model(base, config, Placement(device="cpu", dtype=dtype))
    try:
        with safe_open(adapter / ADAPTER, framework="pt") as stored:
            found = {name for name in stored.keys() if LORA in name}  # noqa: SIM118 (it is no mapping)
        wrapped = PeftModel.from_pretrained(model, os.fspath(adapter))
        wanted = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        merged = wrapped.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelFileError(f"{adapter} cannot be merged into {base}: {reason:.300}") from error
    differing = found ^ {name for name in wanted if LORA in name}
    if differing:
        raise ModelFileError(
            f"{adapter} is no adapter of {base}: only one of them knows {len(differing)} of its weights, "
            f"such as {min(differing)}"
        )
    _save(merged, base, target)


def _save(model: Any, base: Path, target: Path) -> None:
    """Write a model beside the base's tokenizer, and give the folder its place."""
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        model.save_pretrained(part)
        for name in KEPT:
            if (base / name).is_file():
                shutil.copyfile(base / name, part / name)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
