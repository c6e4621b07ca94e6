"""Finds faces and their landmarks as the pod does, with the pod's own graphs: `inference/faces/finder.ts` in Python.

Of the pod's search the squares for small faces are left out: what is looked at here shows one large face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime

from detectors.views import View, letterbox, look

GRAPHS = Path(__file__).resolve().parents[3] / "inference" / "faces" / "graphs"
SIDE = 192
CELLS = 48
MIN_SCORE = 0.5
MIN_PRESENCE = 0.5
MIN_OVERLAP = 0.3
MIN_CONTAINMENT = 0.6
SMALL_SHARE = 0.1
CLOSER_SIDES = 4
MESH_SHARE = 1.5


@dataclass(frozen=True)
class Face:
    """In pixels of the picture: box [x, y, width, height], keypoints [6, 2] (right eye, left eye, nose, mouth, ears), landmarks [468, 3]."""

    box: np.ndarray
    score: float
    keypoints: np.ndarray
    landmarks: np.ndarray | None = None


class FaceFinder:
    def __init__(self, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.detector, self.mesh = (
            onnxruntime.InferenceSession(str(GRAPHS / name), options, providers=["CPUExecutionProvider"])
            for name in ("face-detection-full-range.onnx", "face-mesh.onnx")
        )

    def find(self, picture: np.ndarray) -> list[Face]:
        """Of uint8 [H, W, 3]: every face with its landmarks, the surest first; empty where there is none."""
        height, width = picture.shape[:2]
        seen = merged(self.detected(picture, letterbox(0, 0, width, height)), MIN_OVERLAP)
        sharp = [closer for face in seen for closer in self.looked_closer(picture, face)]
        meshed = (self.with_landmarks(picture, face) for face in merged(sharp, MIN_OVERLAP))
        return [face for face in meshed if face is not None]

    def looked_closer(self, picture: np.ndarray, face: Face) -> list[Face]:
        """A small face again, larger; itself where it is not small, nothing where the closer look does not show it."""
        if max(face.box[2:]) >= SMALL_SHARE * max(picture.shape[:2]):
            return [face]
        x, y, width, height = face.box
        margin = (CLOSER_SIDES - 1) / 2
        around = letterbox(x - margin * width, y - margin * height, width * CLOSER_SIDES, height * CLOSER_SIDES)
        seen = merged(self.detected(picture, around), MIN_OVERLAP)
        return [other for other in seen if containment(other.box, face.box) > MIN_CONTAINMENT][:1]

    def detected(self, picture: np.ndarray, view: View) -> list[Face]:
        """Many for each face."""
        levels = look(picture, view, SIDE, SIDE, "black")
        boxes, logits = self.detector.run(["boxes", "logits"], {self.detector.get_inputs()[0].name: levels[None] / np.float32(127.5) - 1})
        return decoded(boxes.reshape(-1, 16), logits.reshape(-1), view)

    def with_landmarks(self, picture: np.ndarray, face: Face) -> Face | None:
        """None where the mesh sees no face."""
        right, left = face.keypoints[:2]
        side = MESH_SHARE * max(face.box[2:])
        radians = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
        view = View(face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2, side, side, radians)
        levels = look(picture, view, SIDE, SIDE, "edge")
        points, presence = self.mesh.run(["points", "presence"], {self.mesh.get_inputs()[0].name: levels[None] / np.float32(255)})
        if 1 / (1 + np.exp(-float(presence.reshape(-1)[0]))) < MIN_PRESENCE:
            return None
        points = points.reshape(-1, 3) / SIDE
        return replace(face, landmarks=np.concatenate([view.moved(points[:, :2]), points[:, 2:] * side], 1).astype(np.float32))


def decoded(boxes: np.ndarray, logits: np.ndarray, view: View) -> list[Face]:
    """Of the detector's numbers, [2304, 16] in pixels of its input from each anchor and [2304], those that are faces."""
    scores = 1 / (1 + np.exp(-logits.astype(float)))
    out = []
    for index in np.flatnonzero(scores >= MIN_SCORE):
        anchor = np.array([(index % CELLS + 0.5) / CELLS, (index // CELLS + 0.5) / CELLS])
        pairs = boxes[index].astype(float).reshape(-1, 2) / SIDE
        points = view.moved(anchor + np.delete(pairs, 1, 0))
        width, height = pairs[1] * [view.width, view.height]
        if width > 0 and height > 0:
            x, y = points[0] - [width / 2, height / 2]
            out.append(Face(np.array([x, y, width, height]), float(scores[index]), points[1:]))
    return out


def merged(faces: list[Face], least: float) -> list[Face]:
    """One for each group that overlaps by more than `least`: the mean weighed by the scores, with the highest score; the surest first."""
    rest, out = sorted(faces, key=lambda face: -face.score), []
    while rest:
        group = [face for face in rest if face is rest[0] or overlap(face.box, rest[0].box) > least]
        shares = np.array([face.score for face in group])
        shares = shares / shares.sum()
        box = np.tensordot(shares, np.stack([face.box for face in group]), 1)
        keypoints = np.tensordot(shares, np.stack([face.keypoints for face in group]), 1)
        out.append(Face(box, rest[0].score, keypoints))
        rest = [face for face in rest if not any(face is other for other in group)]
    return out


def common(a: np.ndarray, b: np.ndarray) -> float:
    width, height = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    return float(width * height) if width > 0 and height > 0 else 0.0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Common area over the area of both together."""
    shared = common(a, b)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared else 0.0


def containment(a: np.ndarray, b: np.ndarray) -> float:
    """How much of the smaller one lies in the other."""
    return common(a, b) / min(a[2] * a[3], b[2] * b[3])
