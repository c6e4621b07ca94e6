"""Reads other people's checkpoints without running what is in them, and fits their tensors to a network."""

from __future__ import annotations

import pickle
import tarfile
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn, serialization

from importer.errors import ImportRefused

# A pickle is a program that may call anything it can name. It may name these, which only lay tensors out in memory that was read; storages are
# resolved by torch before it asks.
ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
}
STORAGES = {f"{kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")}
NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module == "torch" and name in STORAGES:
            return getattr(torch, name)
        raise ImportRefused(
            f"the checkpoint names {module}.{name}, and loading it would run that code; save the weights alone where they were made: "
            "torch.save(model.state_dict(), PATH), or as .safetensors"
        )


def load(stream: Any, **options: Any) -> Any:
    return Unpickler(stream, **options).load()


# What torch's readers use in the place of the module `pickle`. torch.load itself would not do: this version drops its argument `pickle_module`
# without a word, and its `weights_only` lets more through than this list.
restricted_pickle = SimpleNamespace(Unpickler=Unpickler, load=load, UnpicklingError=pickle.UnpicklingError)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of what torch.save wrote, on the CPU; `module.` of DataParallel is dropped.

    Raises ImportRefused where the file cannot be read, would run code, or holds no state dict.
    """
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file")
    content = safetensors(path) if path.suffix == ".safetensors" else pickled(path)
    state = state_dict_in(content, path)
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path), device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise ImportRefused(f"{path}: not a whole .safetensors file: {error}") from error


def pickled(path: Path) -> Any:
    if tarfile.is_tarfile(path):
        raise ImportRefused(f"{path}: the format of torch before 0.1.10, or another archive; load it there and save it again with torch.save")
    try:
        with path.open("rb") as stream:
            if not serialization._is_zipfile(stream):
                return serialization._legacy_load(stream, "cpu", restricted_pickle, encoding="utf-8")
            with serialization._open_zipfile_reader(stream) as archive:
                if serialization._is_torchscript_zip(archive):
                    raise ImportRefused("a TorchScript archive, which is code; save its state_dict() instead")
                return serialization._load(archive, "cpu", restricted_pickle, encoding="utf-8")
    except ImportRefused as refusal:
        raise ImportRefused(f"{path}: {refusal}") from refusal
    except Exception as error:
        # A damaged pickle can fail in any way.
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise ImportRefused(f"{path}: torch cannot read it as a checkpoint: {said}") from error


def state_dict_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict itself, or the one that training scripts put beside an epoch and an optimizer."""
    if isinstance(content, dict):
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return dict(content)
        for key in NESTED:
            if isinstance(content.get(key), dict):
                return state_dict_in(content[key], path)
    found = f"a dict with the keys {', '.join(map(str, list(content)[:8]))}" if isinstance(content, dict) else f"a {type(content).__name__}"
    raise ImportRefused(f"{path}: {found}, and no state dict; expected tensors by name, or these under one of {', '.join(NESTED)}")


def fit(net: nn.Module, state: dict[str, Tensor], path: Path, ignored: Iterable[str] = ()) -> nn.Module:
    """Loads every tensor of `net` from `state` and puts it in evaluation mode. Nothing is left as it was initialised.

    `ignored`: prefixes of names that the graph does not need. Counters of batches, which evaluation does not read, may be missing.
    Raises ImportRefused with every name that is missing, left over, or of another shape.
    """
    wanted = net.state_dict()
    prefixes = tuple(ignored)
    offered = {name: tensor for name, tensor in state.items() if name in wanted or not name.startswith(prefixes or ("\0",))}
    missing = [name for name in wanted if name not in offered and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in offered if name not in wanted]
    shapes = [
        f"{name} is {list(offered[name].shape)} and not {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in offered and offered[name].shape != tensor.shape
    ]
    problems = [f"{what}: {listed(names)}" for what, names in (("missing", missing), ("unexpected", unexpected), ("other shapes", shapes)) if names]
    if problems:
        raise ImportRefused(f"{path}: not a checkpoint of {type(net).__name__}; " + "; ".join(problems))
    broken = [name for name in wanted if name in offered and not torch.isfinite(offered[name]).all()]
    if broken:
        raise ImportRefused(f"{path}: values that are not finite in {listed(broken)}")
    net.load_state_dict({name: tensor for name, tensor in offered.items()}, strict=False)
    return net.eval()


def listed(names: list[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
