"""Writes a package: a folder under its final name only when all of it is there."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from detectors import pod_golden
from importer.errors import ImportRefused
from importer.export import Session
from importer.manifest import Stated, calibration, manifest
from importer.meaning import score_of_rows
from importer.quantise import quantised
from importer.reading import READ_HERE, parts_of

TOLERANCE = 0.02
MOST_INT8_COST = 0.25
MOST_GOLDEN = 32
FIXTURES = Path(__file__).resolve().parents[3] / "test" / "fixtures" / "media"
DEFAULT_GOLDEN = {
    "image-classifier": ("photograph-real.jpg", "photograph-fake.jpg"),
    "audio-waveform": ("voice-real.flac", "voice-fake.flac"),
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(
    out: Path, stated: Stated, modality: str, description: str, pipeline: dict[str, Any], output: dict[str, Any], golden: list[Path], int8: bool,
    build: Callable[[Path], dict[str, dict[str, Any]]],
) -> None:
    """`build` writes graphs into a folder and gives their entries without digests.

    Raises ImportRefused; the folder `out` must not be there, and is not where this fails.
    """
    if out.exists():
        raise ImportRefused(f"{out}: is there already; name a new folder")
    readable = pipeline["type"] in READ_HERE
    files = golden or [FIXTURES / name for name in DEFAULT_GOLDEN.get(pipeline["type"], ())]
    if not readable and int8:
        raise ImportRefused(f"INT8 needs the preprocessing of {pipeline['type']}, which only the pod has; leave --int8 out")
    if len(files) > MOST_GOLDEN:
        raise ImportRefused(f"{len(files)} golden files; every start of a pod judges them all, so a package has {MOST_GOLDEN} at most")
    fit = calibration(stated.calibration)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / "package"
        folder.mkdir()
        graphs = build(folder)
        for entry in graphs.values():
            entry["sha256"] = sha256(folder / entry["file"])
        batches = [parts_of(path, pipeline) for path in files] if readable else []
        classifier = graphs["classifier"]
        plain = scores_of(folder / classifier["file"], classifier["output"], batches, output, fit)
        entries = [pinned(folder, number, path, score) for number, (path, score) in enumerate(zip(files, plain))] if readable else []
        if int8:
            classifier["variants"] = [int8_variant(folder, classifier, batches, plain, output, fit)]
        document = manifest(stated, modality, description, pipeline, graphs, output, entries)
        (folder / "model.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))
        if files and not readable:
            measured_by_the_pod(folder, files)
        digest = sha256(folder / "model.yaml")
        folder.rename(out)
    print(f"wrote {out}: sha256:{digest}", flush=True)
    if not files and not readable:
        print(
            f"NOT YET A PACKAGE: `golden` is empty, because only the pod can read media as {pipeline['type']} wants it, and it refuses the folder "
            f"until then. In the repository:\n  {pod_golden.told(out)}", flush=True,
        )


def measured_by_the_pod(folder: Path, files: list[Path]) -> None:
    try:
        pod_golden.measure(folder, files, TOLERANCE)
    except pod_golden.GoldenError as error:
        raise ImportRefused(str(error)) from error


def pinned(folder: Path, number: int, source: Path, score: float) -> dict[str, Any]:
    """Copies a golden file into the package under a name that a manifest can list."""
    target = folder / "golden" / f"{number + 1}{source.suffix.lower()}"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
    print(f"  golden {source.name}: score {score:.5f}", flush=True)
    return {"file": f"golden/{target.name}", "sha256": sha256(target), "score": round(score, 6), "tolerance": TOLERANCE}


def int8_variant(folder: Path, graph: dict[str, Any], batches: list[np.ndarray], plain: list[float], output: dict[str, Any], fit: dict[str, Any]) -> dict[str, Any]:
    """Prints what smaller numbers cost. Raises ImportRefused where that is too much."""
    name = quantised(folder / graph["file"], batches)
    scores = scores_of(folder / name, graph["output"], batches, output, fit)
    cost = max(abs(one - other) for one, other in zip(plain, scores))
    print(f"  {name}: {(folder / name).stat().st_size} bytes; scores of {len(scores)} golden files move by at most {cost:.4f}", flush=True)
    if not cost < MOST_INT8_COST:
        raise ImportRefused(f"INT8 moves the score of a golden file by {cost:.3f}; leave --int8 out, or give more --golden files to measure ranges with")
    return {"precision": "int8", "file": name, "sha256": sha256(folder / name), "goldenTolerance": round(TOLERANCE + cost, 3)}


def scores_of(graph: Path, given: str, batches: list[np.ndarray], output: dict[str, Any], fit: dict[str, Any]) -> list[float]:
    """One part at a time, as the pod runs it on processors. Raises ImportRefused where the graph's value means nothing."""
    session = Session(graph).session
    taken = session.get_inputs()[0].name
    scores = []
    for parts in batches:
        rows = np.concatenate([session.run([given], {taken: part[None]})[0].reshape(1, -1) for part in parts])
        scores.append(score_of_rows(rows, output, fit))
        if not np.isfinite(scores[-1]):
            raise ImportRefused(f"{graph.name} answers {rows[0][:4].tolist()}, which is no {'probability' if output['activation'] == 'none' else 'logit'}")
    return scores
