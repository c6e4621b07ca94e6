"""Clips of people as the detectors of videos learn them: cut around the face as in a portrait, at one rate, in pieces of some seconds.

Who is in which split, and from where clips come, is said by `face_media`. Points of the mesh are those that the pod finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import face_media, pod_tensors, sources
from detectors.augment import ffmpeg

RATE = 25
"""Frames a second."""
SIDE = 320
"""Pixels of a frame, which is square."""
SECONDS = 12.0
"""Of each clip, from its beginning."""
PIECE = 3 * RATE
"""Frames of a piece."""
ROOM = 2.4
"""Side of what is cut out, in sides of the face."""
FOLDER = sources.CACHE / "video"


@dataclass(frozen=True)
class Shot:
    """A person over time: `frames` uint8 [T, 320, 320, 3] RGB, `mesh` float32 [T, 468, 3] in pixels of them, NaN where no face was seen."""

    person: str
    split: str
    frames: np.ndarray
    mesh: np.ndarray

    def piece(self, start: int, length: int = PIECE) -> "Shot":
        return Shot(self.person, self.split, self.frames[start : start + length], self.mesh[start : start + length])


def encoded(path: Path, frames: np.ndarray, crf: int, sound: np.ndarray | None = None, rate: float = RATE) -> Path:
    """H.264 as players want it, `rate` frames a second, and, with `sound` (float32 [samples] at 16 kHz), AAC beside it; the same bytes from the same input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{rate:g}", "-i", "-"]
    same = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
    picture = ["-c:v", "libx264", "-crf", str(crf), "-preset", "fast", "-pix_fmt", "yuv420p", "-threads", "1"]
    heard: list[str] = []
    spoken = path.with_suffix(".wav")
    if sound is not None:
        sources.save_flac(sound, spoken.with_suffix(".flac"))
        heard = ["-i", str(spoken.with_suffix(".flac"))]
    part = path.with_suffix(".part.mp4")
    voice = ["-c:a", "aac", "-b:a", "64k", "-shortest"] if sound is not None else ["-an"]
    ffmpeg([*raw, *heard, *picture, *voice, *same, "-movflags", "+faststart", str(part)], np.ascontiguousarray(frames).tobytes())
    spoken.with_suffix(".flac").unlink(missing_ok=True)
    return part.replace(path)


def decoded(path: Path) -> np.ndarray:
    """uint8 [T, H, W, 3] of a file that `encoded` wrote."""
    raw = ffmpeg(["-i", str(path), "-an", "-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"])
    return np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE, 3)


def portrait(clip: face_media.Clip, path: Path) -> Path:
    """The clip cut around its person; the square does not move."""
    target = FOLDER / "portraits" / f"{clip.name}-{clip.sha256[:12]}.mp4"
    if target.exists():
        return target
    track = face_media.track_of(clip, path)
    height, width = track.size
    left, top, wide, high = np.median(track.boxes, 0)
    side = min(height, width, ROOM * max(wide, high))
    x, y = (float(np.clip(middle - side / 2, 0, room - side)) for middle, room in ((left + wide / 2, width), (top + high / 2, height)))
    cut = f"crop=iw*{side / width:.6f}:ih*{side / height:.6f}:iw*{x / width:.6f}:ih*{y / height:.6f},scale={SIDE}:{SIDE}:flags=area,fps={RATE}"
    raw = ffmpeg(["-t", f"{SECONDS}", "-i", str(path), "-an", "-vf", cut, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
    return encoded(target, np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE, 3), 12)


def shots(clips_folder: Path | None, split: str | None = None) -> list[Shot]:
    """One for each person; where a face is not seen in half of the frames, the person is left out."""
    every = face_media.clips()
    paths = face_media.fetch(every, clips_folder)
    wanted = [clip for clip in every if split in (None, clip.split)]
    files = [portrait(clip, paths[clip.name]) for clip in wanted]
    out = []
    for clip, path, seen in zip(wanted, files, pod_tensors.given(files, mesh={"rate": RATE})):
        frames = decoded(path)
        mesh = seen.tensors["mesh"]
        if mesh.shape[1] == 0 or np.isnan(mesh[:, 0]).mean() > 0.5:
            print(f"  {clip.name}: no face is seen in most of its frames, left out", flush=True)
            continue
        length = min(len(frames), len(mesh))
        out.append(Shot(clip.name, clip.split, frames[:length], mesh[:length].reshape(length, -1, 3)))
    return out


def pieces(shot: Shot, length: int = PIECE) -> list[Shot]:
    """As many as fit one after the other; a shot that is shorter is one piece. Those with a face in fewer than nine tenths of the frames are left out."""
    starts = range(0, max(1, len(shot.frames) - length + 1), length)
    cut = [shot.piece(start, length) for start in starts]
    return [piece for piece in cut if np.isnan(piece.mesh[:, 0, 0]).mean() < 0.1]


def named(*parts: object) -> str:
    """A file name for what a file was made of."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:20] + ".mp4"


def filled(mesh: np.ndarray) -> np.ndarray:
    """[T, 468, 3] in which a frame without a face has the points of the nearest one with a face."""
    seen = np.flatnonzero(~np.isnan(mesh[:, 0, 0]))
    nearest = seen[np.abs(np.arange(len(mesh))[:, None] - seen[None]).argmin(1)]
    return mesh[nearest]


def listed(shots_of: Sequence[Shot]) -> str:
    return ", ".join(f"{shot.person} {len(shot.frames) / RATE:.1f} s" for shot in shots_of)
