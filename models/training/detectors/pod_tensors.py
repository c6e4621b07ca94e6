"""What the graphs of a package take of media files, as the pod itself prepares it: no second implementation can differ from it.

`hack/tensors` runs the pod's detector families with graphs that keep what they are given. It needs Node.js and the packages of package-lock.json.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors import sources

PROGRAM = sources.ROOT.parent.parent / "hack" / "tensors"
STORE = sources.CACHE / "tensors"


@dataclass(frozen=True)
class Given:
    """What the graphs took of one file, by graph: uint8 or float32 [items, ...]. `reasons` are why it would get no verdict; then graphs may be missing."""

    path: Path
    reasons: tuple[str, ...]
    signals: dict[str, object]
    tensors: dict[str, np.ndarray]


def given(files: Sequence[Path], **asked: object) -> list[Given]:
    """Of each file, in order; `pipeline` of a model.yaml or `mesh` is asked for. Kept in the cache under the bytes of the file and what was asked.

    RuntimeError where the pod refuses a file, or where the program fails; the message is its last line.
    """
    STORE.mkdir(parents=True, exist_ok=True)
    places = [STORE / key(path, asked) for path in files]
    missing = {place: path for place, path in zip(places, files) if not place.with_suffix(".npz").exists()}
    for (place, path), answer in zip(missing.items(), answers(missing, asked)):
        keep(place.with_suffix(".npz"), path, answer)
    return [restored(place.with_suffix(".npz"), path) for place, path in zip(places, files)]


def key(path: Path, asked: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode() + hashlib.sha256(path.read_bytes()).digest()).hexdigest()[:32]


def answers(missing: dict[Path, Path], asked: dict[str, object]) -> Iterator[dict]:
    """One after the other, so that the numbers of few files lie on the disk at a time."""
    if not missing:
        return
    with tempfile.TemporaryDirectory(dir=STORE) as folder, tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen([str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            for number, path in enumerate(missing.values()):
                request = {"file": str(path.resolve()), "out": f"{folder}/{number}", **asked}
                program.stdin.write(json.dumps(request) + "\n")
                program.stdin.flush()
                line = program.stdout.readline()
                if not line:
                    program.wait()
                    said.seek(0)
                    raise RuntimeError(f"hack/tensors: {(said.read().strip().splitlines() or ['it ended without an answer'])[-1]}")
                yield json.loads(line)
        finally:
            program.stdin.close()
            program.wait()


def keep(place: Path, path: Path, answer: dict) -> None:
    if "error" in answer:
        raise RuntimeError(f"{path}: {answer['error']}")
    arrays = {}
    for name, entry in answer["tensors"].items():
        written = Path(entry["path"])
        arrays[f"tensor_{name}"] = np.fromfile(written, entry["type"]).reshape(entry["shape"])
        written.unlink()
    about = json.dumps({"reasons": answer["reasons"], "signals": answer["signals"]})
    whole = place.with_suffix(".part.npz")
    np.savez(whole, about=np.array(about), **arrays)
    whole.replace(place)


def restored(place: Path, path: Path) -> Given:
    with np.load(place) as stored:
        about = json.loads(str(stored["about"]))
        tensors = {name.removeprefix("tensor_"): stored[name] for name in stored.files if name.startswith("tensor_")}
    return Given(path, tuple(about["reasons"]), about["signals"], tensors)
