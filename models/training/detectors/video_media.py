"""The files that detectors of videos are trained and measured on: pieces of clips as they are, and fakes of the same pieces, through the same encoder."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import video_clips, video_fakes
from detectors.video_clips import Shot
from detectors.video_fakes import Maker

CRF = (20, 31)
"""Both classes are encoded at a rate factor drawn from here."""
RECIPE = 1
"""Raised where makers change, so that no file of before is taken for one of now."""


@dataclass(frozen=True)
class Made:
    """A file, the person in it, and what made it: `real` or the name of a kind of fake."""

    path: Path
    person: str
    split: str
    kind: str

    @property
    def label(self) -> int:
        return int(self.kind != "real")


def plain(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return frames


def of_piece(piece: Shot, kind: str, maker: Maker, salt: str, step: int) -> Made:
    """The file of every `step`-th frame of a piece; made once for a salt."""
    path = video_clips.FOLDER / "pieces" / video_clips.named(RECIPE, piece.person, kind, salt, step)
    if not path.exists():
        rng = np.random.default_rng([RECIPE, *salt.encode(), *kind.encode(), *piece.person.encode()])
        crf = int(rng.integers(*CRF))
        frames = maker(piece.frames[::step], video_clips.filled(piece.mesh[::step]), rng)
        video_clips.encoded(path, frames, crf, rate=video_clips.RATE / step)
    return Made(path, piece.person, piece.split, kind)


def files(shots: Sequence[Shot], kinds: Mapping[str, Maker], reals: Mapping[str, Maker], most: int = 99, length: int = video_clips.PIECE, step: int = 2, again: str = "") -> list[Made]:
    """Each piece through every maker of `reals` and of `kinds`, of which those of a piece are `most` in turn. `step` 2 halves the frames a second; `again` draws anew."""
    out, started, turn = [], time.time(), 0
    for shot in shots:
        for number, piece in enumerate(video_clips.pieces(shot, length)):
            for name, maker in reals.items():
                out.append(of_piece(piece, "real", maker, f"{number}/{length}/{name}{again}", step))
            names = list(kinds)
            for name in [names[(turn + index) % len(names)] for index in range(min(most, len(names)))]:
                out.append(of_piece(piece, name, kinds[name], f"{number}/{length}{again}", step))
            turn += min(most, len(names))
    print(f"  {len(out)} files of {len(shots)} people, {time.time() - started:.0f} s", flush=True)
    return out


def swaps(donors: Sequence[Shot]) -> Maker:
    """`video_fakes.swapped` with a donor drawn from these; none of them may be of another split than who is swapped."""
    ready = [(shot.frames, video_clips.filled(shot.mesh)) for shot in donors]

    def make(frames: np.ndarray, mesh: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        # Never oneself: a person's own frames are among the donors.
        others = [(pictures, points) for pictures, points in ready if not np.may_share_memory(pictures, frames)]
        return video_fakes.swapped(*others[int(rng.integers(len(others)))])(frames, mesh, rng)

    return make


REALS: dict[str, Maker] = {"plain": plain, "light": video_fakes.light_change}
FACES_SEEN: dict[str, Maker] = {
    "blend-flicker": video_fakes.self_blended("flicker"), "blend-independent": video_fakes.self_blended("independent"),
    "colour-flicker": video_fakes.colour_flicker,
}


def faces_unseen(shots: Sequence[Shot]) -> dict[str, Maker]:
    return {"face-swap": swaps(shots), "late-face": video_fakes.late_face}


EYES_SEEN: dict[str, Maker] = {"drawn-lids": video_fakes.drawn_blinks, "stuttered-blinks": video_fakes.stuttered_blinks}
EYES_UNSEEN: dict[str, Maker] = {"one-eyed-blinks": video_fakes.one_eyed_blinks, "no-blinks": video_fakes.without_blinks}
COLOURS_SEEN: dict[str, Maker] = {
    "colour-flicker": video_fakes.colour_flicker, "colour-wander": video_fakes.colour_wander, "colour-patch": video_fakes.colour_patch,
}
COLOURS_UNSEEN: dict[str, Maker] = {"colour-transfer": video_fakes.colour_transfer}
