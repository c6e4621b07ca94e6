"""Packages of several graphs: exports each against its network on real input and writes a model.yaml. Golden files are measured by the pod."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import yaml
from torch import nn

from detectors.package import OPSET, PARITY, digest


@dataclass(frozen=True)
class Graph:
    """A network, the names of its ends, and real input for every one of them: float32 [n, ...] with n > 1."""

    net: nn.Module
    inputs: Mapping[str, np.ndarray]
    output: str


class Session:
    """A graph in onnxruntime on two threads."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """The first output of inputs in the graph's order."""
        names = [end.name for end in self.session.get_inputs()]
        return self.session.run(None, dict(zip(names, inputs, strict=True)))[0]


def export(graph: Graph, path: Path) -> Session:
    """Traced with one item and held against all of the real input; SystemExit where they are further apart than PARITY, and no file is left."""
    graph.net.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = tuple(torch.from_numpy(np.ascontiguousarray(values, np.float32)) for values in graph.inputs.values())
    axes = {name: {0: "n"} for name in (*graph.inputs, graph.output)}
    with torch.no_grad():
        torch.onnx.export(
            graph.net, tuple(values[:1] for values in batch), str(path), opset_version=OPSET, input_names=list(graph.inputs),
            output_names=[graph.output], dynamic_axes=axes, training=torch.onnx.TrainingMode.EVAL,
        )
        wanted = graph.net(*batch).numpy()
    session = Session(path)
    apart = float(np.abs(wanted - session(*(values.numpy() for values in batch))).max())
    print(f"  {path.name}: {path.stat().st_size} bytes, at most {apart:.1e} from PyTorch on {len(batch[0])} real inputs", flush=True)
    if not apart <= PARITY:
        path.unlink()
        raise SystemExit(f"{path.name}: the graph is {apart} from PyTorch, more than {PARITY}")
    return session


def entry(folder: Path, name: str, inputs: Sequence[str], output: str) -> dict[str, object]:
    """Of `graphs` in model.yaml; a graph of three inputs is the head of pictures and sound."""
    made: dict[str, object] = {"file": f"{name}.onnx", "sha256": digest(folder / f"{name}.onnx"), "input": inputs[0]}
    if len(inputs) == 3:
        made["joint"] = {"sound": inputs[1], "presence": inputs[2]}
    return made | {"output": output}


def write(folder: Path, head: dict, pipeline: dict, graphs: dict[str, tuple[Sequence[str], str]], fit: dict, card: dict, rows: list[dict]) -> None:
    """Around the graphs that lie there. `golden` stays empty: the pod measures what it will have to reproduce."""
    rows = [row for row in rows if "value" in row]
    manifest = {
        "formatVersion": 1, **head, "pipeline": pipeline,
        "graphs": {name: entry(folder, name, *ends) for name, ends in graphs.items()},
        "output": {"positive": "fake", "activation": "sigmoid"},
        "calibration": {"method": "platt", "slope": fit["slope"], "intercept": fit["intercept"]},
        "thresholds": {"low": fit["low"], "high": fit["high"]},
        "golden": [],
        "card": {**card, "evaluation": rows},
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120))
    (folder / "evaluation.json").write_text(json.dumps({"name": head["name"], "version": head["version"], "rows": rows}, indent=2) + "\n")
    size = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    print(f"wrote {folder.name}: graphs of {size} bytes, golden files are still to be measured by the pod", flush=True)
