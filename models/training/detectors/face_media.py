"""Clips of people and what of their faces is trained on: fetched by digest, decoded once, faces found as the pod finds them.

`media-sources.json` lists the clips of public repositories with their licences. They are no part of this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import sources
from detectors.face_finder import Face, FaceFinder, overlap
from detectors.views import View, square_crop, square_of

CALIBRATION = {"d0", "d12", "d13", "s18"}
TEST = {"d11", "d19", "d20", "tpsm", "astronaut"}

RATE = 15
"""Frames a second that are kept."""
SECONDS = 12.0
"""Of each clip, from its beginning."""
MOST_SIDE = 960
"""Longer side of a frame in pixels; larger ones are reduced by area averaging before faces are looked for."""
SIDE = 256
"""Pixels of a kept face."""
MARGIN = 0.5
"""Of the box's sides around a kept face."""
CLIPS = sources.CACHE / "clips"
FACES = sources.CACHE / "faces"


class ClipsError(RuntimeError):
    """Clips that are not to be had; the message says which, and what to do."""


@dataclass(frozen=True)
class Clip:
    """A clip of one person, and where it is published."""

    name: str
    repository: str
    commit: str
    path: str
    licence: str
    bytes: int
    sha256: str

    @property
    def split(self) -> str:
        return split_of(self.name)

    @property
    def address(self) -> str:
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


def split_of(name: str) -> str:
    """By person: every clip shows another one, and those who may be the same are all in training."""
    return "test" if name in TEST else "calibration" if name in CALIBRATION else "train"


@dataclass(frozen=True)
class Track:
    """One person's face over time.

    `crops` uint8 [T, 256, 256, 3], RGB: the square around the box with `MARGIN`, black where the frame has ended. In pixels of the frame, whose
    height and width are `size`: `boxes` [T, 4] (x, y, width, height) and `landmarks` [T, 468, 3]. `times` [T] in seconds from the clip's
    beginning, rising; frames without a face are left out, so they need not be evenly spaced. `frames` [T] are the places of the frames in
    what `frames_of` gives.
    """

    name: str
    crops: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    times: np.ndarray
    frames: np.ndarray
    size: tuple[int, int]

    @property
    def split(self) -> str:
        return split_of(self.name)

    @property
    def points(self) -> np.ndarray:
        """float32 [T, 468, 2]: the landmarks in pixels of the crops."""
        return np.stack([in_crop(landmarks, square_of(box, MARGIN)) for landmarks, box in zip(self.landmarks, self.boxes)])


def in_crop(landmarks: np.ndarray, view: View, side: int = SIDE) -> np.ndarray:
    """[N, 3] in pixels of the frame to [N, 2] in pixels of a square crop of that side."""
    corner = np.array([view.x - view.width / 2, view.y - view.height / 2])
    return ((landmarks[:, :2] - corner) * (side / view.width)).astype(np.float32)


def clips() -> list[Clip]:
    return [Clip(**entry) for entry in json.loads((sources.ROOT / "media-sources.json").read_text())["clips"]]


def fetch(wanted: Sequence[Clip], folder: Path | None = None) -> dict[str, Path]:
    """Each clip's file: from the cache, from `folder` by its bytes, whatever its name there, or from where it is published.

    ClipsError, once for all of them, where some cannot be had.
    """
    if folder is not None and not folder.is_dir():
        raise ClipsError(f"--clips {folder}: is no folder")
    found = {name: path for place in (CLIPS, folder) if place is not None for name, path in matching(wanted, place).items()}
    missing = {}
    for clip in wanted:
        if clip.name not in found:
            try:
                found[clip.name] = downloaded(clip)
            except (OSError, urllib.error.URLError) as error:
                missing[clip.name] = f"{clip.address} (sha256 {clip.sha256}): {error}"
    if missing:
        listed = "\n  ".join(missing.values())
        raise ClipsError(f"{len(missing)} of {len(wanted)} clips are missing; put them into a folder and name it with --clips:\n  {listed}")
    return found


def matching(wanted: Iterable[Clip], folder: Path) -> dict[str, Path]:
    """Those clips that lie anywhere under the folder; files of another size are not read."""
    by_size: dict[int, list[Path]] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    found = {}
    for clip in wanted:
        for path in by_size.get(clip.bytes, []):
            if hashlib.sha256(path.read_bytes()).hexdigest() == clip.sha256:
                found[clip.name] = path
                break
    return found


def downloaded(clip: Clip) -> Path:
    """Kept in the cache. OSError where it cannot be reached or is not what the list pins."""
    CLIPS.mkdir(parents=True, exist_ok=True)
    target = CLIPS / f"{clip.name}{Path(clip.path).suffix}"
    with urllib.request.urlopen(clip.address, timeout=60) as response, target.with_suffix(".part").open("wb") as file:
        shutil.copyfileobj(response, file)
    digest = hashlib.sha256(target.with_suffix(".part").read_bytes()).hexdigest()
    if digest != clip.sha256:
        raise OSError(f"has the sha256 {digest}")
    return target.with_suffix(".part").replace(target)


def frames_of(path: Path, seconds: float = SECONDS) -> np.ndarray:
    """uint8 [T, H, W, 3], RGB, upright: `RATE` frames a second of the beginning, no side above `MOST_SIDE`, sides even."""
    even = "trunc({0}*min(1,%d/max(iw,ih))/2+0.5)*2" % MOST_SIDE
    scale = f"scale=w='{even.format('iw')}':h='{even.format('ih')}':flags=area"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-t", f"{seconds}", "-i", str(path), "-an", "-vf", f"fps={RATE},{scale}"]
    done = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "image2pipe", "-c:v", "ppm", "-"], capture_output=True)
    if done.returncode:
        raise ClipsError(f"{path}: ffmpeg cannot decode it: {done.stderr.decode(errors='replace').strip()[-300:]}")
    frames = list(ppm_images(done.stdout))
    if not frames:
        raise ClipsError(f"{path}: holds no frames")
    return np.stack(frames)


def ppm_images(stream: bytes) -> Iterator[np.ndarray]:
    """uint8 [H, W, 3] of each picture of a stream of binary PPM, which says its size itself."""
    at = 0
    while at < len(stream):
        header = stream[at : at + 40].split(b"\n", 3)
        width, height = (int(side) for side in header[1].split())
        start = at + sum(len(line) + 1 for line in header[:3])
        at = start + 3 * width * height
        yield np.frombuffer(stream, np.uint8, 3 * width * height, start).reshape(height, width, 3)


def followed(faces: Sequence[Sequence[Face]]) -> list[tuple[int, Face]]:
    """Of the faces of each frame the one that goes on where the last one was, at first the largest: (frame, face) where there is one."""
    out: list[tuple[int, Face]] = []
    for index, seen in enumerate(faces):
        if not seen:
            continue
        last = out[-1][1] if out else None
        out.append((index, max(seen, key=lambda face: overlap(face.box, last.box) if last else face.box[2] * face.box[3])))
    return out


def seen_in(frames: np.ndarray, name: str, finder: FaceFinder) -> Track:
    """The track of a clip's person. ClipsError where no frame shows a face."""
    chosen = followed([finder.find(frame) for frame in frames])
    if not chosen:
        raise ClipsError(f"{name}: no frame shows a face")
    places = np.array([index for index, _ in chosen])
    return Track(
        name,
        np.stack([square_crop(frames[index], face.box, MARGIN, SIDE) for index, face in chosen]),
        np.stack([face.box for _, face in chosen]).astype(np.float32),
        np.stack([face.landmarks for _, face in chosen]),
        places / RATE, places, frames.shape[1:3],
    )


def track_of(clip: Clip, path: Path, seconds: float = SECONDS) -> Track:
    """From the cache where it is there: crops are mapped, not read."""
    settings = [clip.sha256, RATE, seconds, MOST_SIDE, SIDE, MARGIN]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    kept = FACES / f"{clip.name}-{key}"
    if not (kept / "facts.npz").exists():
        made = seen_in(frames_of(path, seconds), clip.name, FaceFinder())
        kept.mkdir(parents=True, exist_ok=True)
        np.save(kept / "crops.npy", made.crops)
        np.savez(kept / "facts.npz", boxes=made.boxes, landmarks=made.landmarks, times=made.times, frames=made.frames, size=made.size)
        print(f"  {clip.name}: {len(made.times)} frames with a face, {clip.split}", flush=True)
    with np.load(kept / "facts.npz") as facts:
        values = {name: facts[name] for name in ("boxes", "landmarks", "times", "frames")}
        height, width = (int(side) for side in facts["size"])
    return Track(clip.name, np.load(kept / "crops.npy", mmap_mode="r"), **values, size=(height, width))


def tracks(folder: Path | None = None, split: str | None = None, seconds: float = SECONDS) -> list[Track]:
    """One for each clip, in the order of the list. The clips of all splits are fetched, so that a missing one is told at once."""
    every = clips()
    paths = fetch(every, folder)
    return [track_of(clip, paths[clip.name], seconds) for clip in every if split in (None, clip.split)]


def astronaut() -> np.ndarray:
    """uint8 [512, 512, 3]: NASA's portrait of Eileen Collins, public domain, from scikit-image's wheel; of the test split."""
    site = next((sources.CACHE / "venv" / "lib").glob("python3*")) / "site-packages"
    return sources.image(site / "skimage/data/astronaut.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="run python -m detectors.face_media", description=__doc__)
    parser.add_argument("--clips", type=Path, help="folder in which the clips are looked for by their bytes before they are downloaded")
    options = parser.parse_args()
    try:
        for track in tracks(options.clips):
            side = float(np.median(track.boxes[:, 2:].max(1)))
            print(f"{track.name:10s} {track.split:12s} {len(track.times):4d} frames to {track.times[-1]:5.1f} s, face of {side:4.0f} px in {track.size[1]}x{track.size[0]}")
    except ClipsError as error:
        raise SystemExit(f"run faces: {error}") from error


if __name__ == "__main__":
    main()
