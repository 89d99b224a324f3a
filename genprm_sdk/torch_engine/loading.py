"""A folder in the Hugging Face layout to a model that runs can be made of. Trusts nothing but numbers.

Weights come from safetensors files only and no code that a folder brings is run. transformers tells on stderr
what it makes up where weights are missing; here that is an error.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, DynamicCache
from transformers.utils import logging as reports

from ..errors import InputError, ModelFileError
from ..json_objects import json_object
from .slab import Layout

__all__ = ["Placement", "best_device", "compiled", "layout_of", "load_model", "read_config"]

PROBE_TOKENS = 3
LENGTH_DEPENDENT = ("dynamic", "longrope")
"""Rotary embeddings that change with the longest sequence of a batch: who runs beside whom would matter."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BITS = ("8bit", "4bit")
LAYER = re.compile(r"\blayers\.(\d{1,9})\.")
_quietly = threading.Lock()


@dataclass(frozen=True)
class Placement:
    """Where and how weights lie.

    Attributes:
        device: A torch device; where ``device_map`` is given, none.
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        device_map: As for ``from_pretrained``.
        quantization: ``8bit``, ``4bit`` or None.
    """

    device: str | None = None
    dtype: str = "auto"
    device_map: str | Mapping[str, Any] | None = None
    quantization: str | None = None

    def check(self) -> None:
        """Raise an ``InputError`` if it cannot be."""
        if self.dtype not in ("auto", *DTYPES):
            raise InputError(f"dtype must be one of auto, {', '.join(DTYPES)}, not {self.dtype!r}")
        if self.quantization not in (None, *BITS):
            raise InputError(
                f"quantization must be one of {', '.join(BITS)} or None, not {self.quantization!r}"
            )
        if self.device is not None and self.device_map is not None:
            raise InputError("device and device_map exclude each other")
        if self.quantization is not None:
            _need("bitsandbytes", f"quantization={self.quantization!r}")
            _need("accelerate", f"quantization={self.quantization!r}")
        if self.device_map is not None:
            _need("accelerate", "device_map")
        if self.device is not None:
            try:
                torch.empty(1, device=self.device)
            except (RuntimeError, AssertionError) as error:  # what torch raises depends on how it was built
                raise InputError(
                    f"device {self.device!r} cannot be used: {str(error).splitlines()[0]}"
                ) from error

    @property
    def type(self) -> torch.dtype:
        """The weights' type."""
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        device = self.device or best_device()
        return torch.bfloat16 if device.startswith("cuda") else torch.float32


def best_device() -> str:
    """CUDA where there is one, then Apple's GPU, then the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def read_config(folder: Path) -> Any:
    """The configuration of a causal language model.

    Raises:
        ModelFileError: It cannot be read, or is another kind of model's.
    """
    with _quiet():
        try:
            _check_layers(folder)
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # a folder can be damaged in more ways than there are kinds of errors
            raise ModelFileError(f"{folder / 'config.json'} cannot be used: {_first_line(error)}") from error
    told = config.architectures
    names = [str(name) for name in told] if isinstance(told, list) else []
    if not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names) or config.is_encoder_decoder:
        raise ModelFileError(
            f"{folder} holds {', '.join(names) or 'no known architecture'}: "
            "only causal language models can be used"
        )
    rotary = getattr(config, "rope_parameters", None) or {}
    if rotary.get("rope_type") in LENGTH_DEPENDENT:
        raise ModelFileError(
            f"{folder} has a rotary embedding of type {rotary['rope_type']}, which changes with the length: "
            "set another one in config.json, or use a GGUF of this model"
        )
    return config


def _check_layers(folder: Path) -> None:
    """Refuse more layers than there are weights of, before they take memory.

    Raises:
        ValueError: There are more, or ``config.json`` is no JSON object.
        OSError: A file cannot be read.
    """
    wanted = json_object((folder / "config.json").read_text(encoding="utf-8")).get("num_hidden_layers")
    names: list[str] = []
    try:
        for file in folder.glob("*.safetensors"):
            with safe_open(file, framework="pt") as opened:
                names += opened.keys()
    except SafetensorError:
        return  # whoever loads the weights says what is wrong with them
    stored = 1 + max((int(found[1]) for name in names if (found := LAYER.search(name))), default=-1)
    if stored and isinstance(wanted, int) and wanted > stored:
        raise ValueError(f"it names {wanted!r:.40} layers, and the weights are those of {stored}")


def load_model(folder: Path, config: Any, placement: Placement) -> tuple[Any, Layout]:
    """A model on its device, and how it keeps keys and values.

    Raises:
        ModelFileError: Weights are missing, damaged or of another shape, or its cache cannot be cut.
    """
    if not any(folder.glob("*.safetensors")):
        raise ModelFileError(f"there are no weights in {folder}: model.safetensors is missing")
    options: dict[str, Any] = {}
    if placement.quantization is not None:
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_8bit=placement.quantization == "8bit",
            load_in_4bit=placement.quantization == "4bit",
            bnb_4bit_compute_dtype=placement.type,
        )
        options["device_map"] = placement.device_map or {"": placement.device or best_device()}
    elif placement.device_map is not None:
        options["device_map"] = placement.device_map
    with _quiet():
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=placement.type,
                attn_implementation="sdpa",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # see read_config
            raise ModelFileError(f"{folder} cannot be loaded: {_first_line(error)}") from error
    model, found = loaded
    if found["missing_keys"]:
        name = min(found["missing_keys"])
        raise ModelFileError(
            f"{folder} lacks {len(found['missing_keys'])} of the model's weights, such as {name}"
        )
    model.eval().requires_grad_(False)
    if not options:
        model.to(placement.device or best_device())
    return model, layout_of(folder, model)


def compiled(model: Any) -> Any:
    """The model with its forward pass compiled at the first runs, for any number of rows and columns."""
    model.forward = torch.compile(model.forward, dynamic=True)
    return model


@torch.inference_mode()
def layout_of(folder: Path, model: Any) -> Layout:
    """How a model in memory keeps keys and values, by letting it run once.

    Args:
        folder: Where it is from, for messages.
        model: The model.

    Raises:
        ModelFileError: It cannot be run, its logits are no numbers, or its cache cannot be cut.
    """
    cache = DynamicCache(config=model.config)
    tokens = torch.zeros(
        (1, PROBE_TOKENS), dtype=torch.long, device=model.get_input_embeddings().weight.device
    )
    try:
        logits = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a model does that this library has not foreseen
        raise ModelFileError(f"{folder} cannot be run: {_first_line(error)}") from error
    if not logits.isfinite().all():
        raise ModelFileError(f"{folder} is damaged: the model's logits are no numbers")
    layout = Layout.of(cache)
    if logits.shape[1] != 1:
        raise ModelFileError(f"{folder} cannot be run: the model does not know logits_to_keep")
    return layout


def _need(package: str, feature: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{feature} needs {package}, which is not installed: pip install {package}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no reports of transformers on stderr; what they report is raised here."""
    with _quietly:
        level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
        reports.set_verbosity(logging.CRITICAL)
        reports.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            reports.set_verbosity(level)
            if bars:
                reports.enable_progress_bar()  # type: ignore[no-untyped-call]
