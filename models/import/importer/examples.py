"""Prints a manifest of every architecture as JSON, with digests of nothing: the pod's tests hold its schema against them. Standard library alone."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from importer import families, foreign
from importer.catalogue import ARCHITECTURES
from importer.manifest import Stated, manifest

SHA256 = "0" * 64


def manifests() -> list[dict[str, Any]]:
    golden = [{"file": "golden/1.bin", "sha256": SHA256, "score": 0.5, "tolerance": 0.02}]
    options = SimpleNamespace(channels="rgb")
    made = []
    for architecture in ARCHITECTURES.values():
        graphs = {name: graph.entry(name, SHA256) for name, graph in architecture.graphs.items()}
        stated = Stated(name=architecture.name)
        made.append(manifest(stated, architecture.modality, architecture.description, architecture.pipeline(options), graphs, architecture.output, golden))
    said = foreign.MESO4
    pipeline = families.image_classifier(
        said.width or 0, said.height or 0, fit=said.fit or "", kernel=said.kernel or "", channels=said.channels or "", layout="nhwc", scale=said.scale or 0,
        mean=said.mean or [], std=said.std or [],
    )
    output = {"positive": said.positive, "activation": said.activation, "index": said.index}
    graphs = {"classifier": {"file": "classifier.onnx", "sha256": SHA256, "input": "input", "output": "dense_1"}}
    return [*made, manifest(Stated(name="meso4", calibration="platt:1.5,-0.25"), "image", "Meso4.", pipeline, graphs, output, golden)]


if __name__ == "__main__":
    print(json.dumps(manifests()))
