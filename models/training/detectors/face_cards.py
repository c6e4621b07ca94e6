"""The packages of the net of faces: manifest, golden files that the pod measures, and a card whose figures are those that were measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from detectors import face_fakes, package, pod_golden, sources
from detectors.augment import ffmpeg
from detectors.face_fakes import Change
from detectors.face_finder import FaceFinder
from detectors.face_media import astronaut
from detectors.gate import status_of
from detectors.views import View, look, rounded

GOLDEN_SEED = 20_265
GOLDEN_SEAM = {
    "hull": "face", "grown": -0.02, "softness": 0.04, "ratio": 1.0, "inside": True,
    "change": Change(np.array([1.12, 1.0, 0.92]), np.array([8.0, 4.0, -6.0]), 0.8, 0.5, 0.0, np.array([0.02, 0.015]), 1.03, 0.01),
}
"""A seam that people see, too."""
GOLDEN_RATE = 12
GOLDEN_FRAMES = 30
GOLDEN_SIDE = 320
MOST_APART = 0.1
"""Between a score of the pod and one of the same rules in Python, which decodes pictures with other libraries."""

HEADS = {
    "image": {
        "name": "image-faces-net", "version": "0.1.0", "modality": "image",
        "description": "Looks at each face of a picture for a seam: a face whose colours or sharpness are not those around it.",
    },
    "video": {
        "name": "video-faces-net", "version": "0.1.0", "modality": "video",
        "description": "Looks at faces in frames of a video for a seam: a face whose colours or sharpness are not those around it.",
    },
}
CARD = {
    "license": "Apache-2.0",
    "intendedUse": "Shows the path from faces to a calibrated verdict; a first hint on blended faces. Not evidence.",
    "limitations": "Learnt from eight people and from faces blended into their own pictures alone. Swaps without a visible seam, faces that are generated whole, "
    "other ages, skin colours and cameras than those few were not learnt from. Make-up, beauty filters and hard shadows may look like a seam.",
    "trainingData": "The first 12 s of clips of ten people from LivePortrait's examples (MIT), two of whom decide when to stop; fakes are their own faces, moved, recoloured or softened on one side "
    "of a mask. Four other people calibrate, four others test.",
}
MADE_FROM = "NASA's portrait of Eileen Collins (public domain), by way of scikit-image"


def write(
    folder: Path, modality: str, pipeline: dict, graph_input: str, fit: dict, rows: Sequence[dict], foreign: Sequence[dict],
    score_of: Callable[[Path], float],
) -> None:
    """Completes the package around `classifier.onnx`; golden files are measured by the pod's own program.

    SystemExit where the pod and `score_of`, by which it was calibrated, disagree on one of them.
    """
    every = [row for row in [*rows, *foreign] if "value" in row]
    status = status_of(every, {row["dataset"] for row in foreign})
    head = HEADS[modality]
    package.write(folder, head, pipeline, graph_input, fit, {}, lambda path: np.zeros(0), {**CARD, "status": status}, every)
    pod_golden.measure(folder, golden_files(modality), package.GOLDEN_TOLERANCE)
    for golden in yaml.safe_load((folder / "model.yaml").read_text())["golden"]:
        here = score_of(folder / golden["file"])
        print(f"  {golden['file']}: {here:.3f} here", flush=True)
        if not abs(here - golden["score"]) <= MOST_APART:
            raise SystemExit(f"{folder / golden['file']}: the pod gives {golden['score']}, what calibrated the package {here:.3f}: they see something else")
    (folder / "README.md").write_text(readme(head, status, rows, foreign, (folder / "classifier.onnx").stat().st_size))


def golden_files(modality: str) -> list[Path]:
    """A real one and a self-blended one of the portrait: pictures, or a slow pan over it."""
    folder = sources.CACHE / "golden" / f"{modality}-faces"
    folder.mkdir(parents=True, exist_ok=True)
    portrait = astronaut()
    (face,) = FaceFinder().find(portrait)
    recipe = replace(face_fakes.drawn(np.random.default_rng(GOLDEN_SEED)), **GOLDEN_SEAM)
    blended = face_fakes.self_blended(portrait, face.landmarks[:, :2], recipe)
    if modality == "image":
        for name, picture in (("real", portrait), ("fake", blended)):
            Image.fromarray(picture).save(folder / f"{name}.jpg", quality=90)
        return [folder / "real.jpg", folder / "fake.jpg"]
    recipes = [recipe]
    rng = np.random.default_rng(GOLDEN_SEED + 1)
    while len(recipes) < GOLDEN_FRAMES:
        recipes.append(face_fakes.jittered(recipes[-1], rng, 0.05))
    fakes = [face_fakes.self_blended(portrait, face.landmarks[:, :2], recipe) for recipe in recipes]
    save_clip(panned([portrait] * GOLDEN_FRAMES), folder / "real.mp4")
    save_clip(panned(fakes), folder / "fake.mp4")
    return [folder / "real.mp4", folder / "fake.mp4"]


def panned(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """uint8 [N, 320, 320, 3]: the view goes slowly to the right, down and closer."""
    out = []
    for k, picture in enumerate(pictures):
        share = k / (len(pictures) - 1)
        side = 400 - 60 * share
        out.append(rounded(look(picture, View(210 + 20 * share, 200 + 10 * share, side, side), GOLDEN_SIDE, GOLDEN_SIDE, "edge")))
    return np.stack(out)


def save_clip(frames: np.ndarray, path: Path) -> None:
    """H.264 in MP4, without a time stamp or an encoder's name."""
    side = f"{frames.shape[2]}x{frames.shape[1]}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", side, "-r", str(GOLDEN_RATE), "-i", "-"]
    coded = ["-c:v", "libx264", "-crf", "24", "-pix_fmt", "yuv420p", "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    ffmpeg([*raw, *coded, str(path)], frames.tobytes())


def readme(head: dict, status: str, rows: Sequence[dict], foreign: Sequence[dict], size: int) -> str:
    """The card in prose. Every figure is measured."""
    video = head["modality"] == "video"
    unit = "clips of 2 s" if video else "pictures"
    judged = (
        "Of 16 frames of a video the faces are found, tracked and judged one by one; the frames that are sure decide where there are enough of them." if video
        else "Each of the four largest faces of a picture is judged by itself; the one that looks most like a fake decides."
    )
    parts = [
        f"# {head['name']} {head['version']}: model card",
        f"**Status: {status}.** It shows the path from faces to a calibrated verdict. Do not base a decision about a person on it.",
        f"**What it looks at.** {judged} The net sees the square around a face with 0.3 of its sides around it, at 112 x 112 px, and what smoothing takes "
        f"from it; {size / 1e6:.1f} MB of ONNX. `image-faces-net` and `video-faces-net` hold the same graph, each calibrated on its own kind of files.",
        "**Trained on** eight people in clips of LivePortrait's examples (two more decide when to stop), and on their own faces blended into their own pictures: moved, recoloured or softened on one "
        "side of a bent mask around all of the face, its inner part or the mouth. Both classes pass the same resizing, noise, JPEG or H.264. "
        "`models/training/media-sources.json` lists the clips and licences. Four other people calibrate, others test; `face_media.py` names them.",
        f"**What it can tell** ({unit} of people whom it never saw, after the same chain for both classes, 95 % intervals over people; every row is in `evaluation.json`)",
        table(rows),
        "The intervals draw so few people that they say little about others. The swap warps another person's face to the landmarks; the autoencoder re-makes the "
        "face at 128 px. Neither is in training, both are made here, so these figures are an upper bound.",
    ]
    if foreign:
        parts += [
            "**On what others published**, as it is; none of it was trained on. So few files prove nothing: they show what to expect at best.",
            table(foreign),
        ]
    parts += [
        f"**Whom it may wrong.** {CARD['limitations']}",
        f"**Golden files** are {MADE_FROM}; the fakes are the same portrait blended into itself. The pod's own program measured them.",
        f"**Made by** `models/training/run faces`{'; the rows on media of others need `--extra-media`' if foreign else ''}.",
    ]
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[dict]) -> str:
    """One line for each data set: AUC, what is answered and how much of that is right, the control, and how many files."""
    lines = ["| files | AUC | answered right | answered | metadata alone | fakes + reals |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(row["dataset"] for row in rows):
        found = {row["metric"]: row for row in rows if row["dataset"] == name and "value" in row}
        figures = [figure(found.get(metric)) for metric in ("AUC", "balanced accuracy outside the abstain band", "coverage (answered share)", "metadata-only control AUC")]
        counts = next(iter(found.values()))
        lines.append(f"| {name} | {' | '.join(figures)} | {counts['positives']} + {counts['negatives']} |")
    return "\n".join(lines)


def figure(row: dict | None) -> str:
    if row is None:
        return "-"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" if "low" in row else f"{row['value']:.3f}"
