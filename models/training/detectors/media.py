"""Writes the held-out test media of a shipped detector as files with a manifest, so that anything can be measured on them.

Photographs and voices are those of the test split; fakes whose generator has to be trained first are left out, unless that is asked for or
the cache holds the generator. `about.json` beside the manifest says which generators the detector was trained on.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors import audio, audio_fakes, audio_pool, datasets, image_data, image_fakes, image_pool, sources
from detectors.datasets import Item

CODECS = ("neural-transposed", "neural-nearest")
STEPS = 600


def main() -> None:
    parser = argparse.ArgumentParser(prog="run media", description=__doc__)
    parser.add_argument("modality", choices=("image", "audio"))
    parser.add_argument("--per-source", type=int, default=4, help="real files of each photograph or voice (default 4)")
    parser.add_argument("--train-generators", action="store_true", help="train the generators that the cache lacks: minutes")
    options = parser.parse_args()
    folder = sources.CACHE / "held-out" / options.modality
    wanted = {"perSource": options.per_source, "trained": options.train_generators}
    about = folder / "about.json"
    if not about.exists() or json.loads(about.read_text())["asked"] != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(2)
        items, kinds = {"image": pictures, "audio": sounds}[options.modality](folder, options.per_source, options.train_generators)
        datasets.write(items, folder / "manifest.csv")
        about.write_text(json.dumps({"asked": wanted, **kinds}, indent=2) + "\n")
    print(folder / "manifest.csv")


def pictures(folder: Path, most: int, train: bool) -> tuple[list[Item], dict[str, list[str]]]:
    """PNG files, which keep what the JPEG of the test chain left."""
    photos = image_data.photographs()
    rng = np.random.default_rng(image_pool.SEED)
    clean = {photo.name: image_data.clean_crops(photo, 24, rng) for photo in photos}
    kept = sources.CACHE / "generators"
    every = image_fakes.TRAINED + image_fakes.HELD_OUT
    if train:
        crops = np.concatenate([clean[photo.name] for photo in photos if photo.split == "train"])
        generators = {kind: image_fakes.trained(kind, crops, STEPS, image_pool.SEED + i, kept) for i, kind in enumerate(every)}
    else:
        found = {kind: image_fakes.recall(kind, kept) for kind in every}
        generators = {kind: net for kind, net in found.items() if net is not None}
    kinds = tuple(kind for kind in (*every, *image_fakes.FIXED) if kind in generators or kind in image_fakes.FIXED)
    test = [(photo.name, clean[photo.name][:most]) for photo in photos if photo.split == "test"]
    items = []
    for i, upload in enumerate(image_pool.uploads(test, kinds, generators, 1.0)):
        path = folder / upload.maker / f"{i:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(upload.pixels).save(path)
        items.append(Item(path, upload.label, upload.source, "", upload.maker if upload.label else "", "test"))
    return items, sorted_out(kinds, image_fakes.TRAINED + image_fakes.FIXED, image_fakes.HELD_OUT)


def sounds(folder: Path, most: int, train: bool) -> tuple[list[Item], dict[str, list[str]]]:
    """FLAC files of three seconds after one of four codecs; a voice is a source, and so is each sentence of a speech engine."""
    codecs = {}
    if train:
        everything = np.concatenate(list(audio_pool.natural("train", 1.0).values()))
        codecs = {kind: audio_fakes.train_codec(kind, everything, STEPS, audio.SEED + i) for i, kind in enumerate(CODECS)}
    seen, unseen = audio.SEEN[0] + audio.SEEN[1], audio.UNSEEN[0] + audio.UNSEEN[1]
    paired = tuple(kind for kind in audio.SEEN[0] + audio.UNSEEN[0] if kind in codecs or kind not in CODECS)
    engines = audio.SEEN[1] + audio.UNSEEN[1]
    voices = {name: clips[:most] for name, clips in audio_pool.natural("test", 1.0).items()}
    torch.manual_seed(audio.SEED + 1)
    pool = audio.build(voices, paired, engines, codecs, 4 * most, 5)
    items = []
    for i, (clip, source, maker) in enumerate(zip(pool.sound[1], pool.sources, pool.makers)):
        path = folder / str(maker) / f"{i:04d}.flac"
        path.parent.mkdir(exist_ok=True)
        sources.save_flac(clip.astype(np.float32) / 32_768, path)
        speaker = str(maker) if maker in engines else str(source)
        items.append(Item(path, int(maker != "real"), str(source), speaker, "" if maker == "real" else str(maker), "test"))
    return items, sorted_out(paired + engines, seen, unseen)


def sorted_out(made: tuple[str, ...], seen: tuple[str, ...], unseen: tuple[str, ...]) -> dict[str, list[str]]:
    return {
        "seen": [kind for kind in seen if kind in made],
        "unseen": [kind for kind in unseen if kind in made],
        "leftOut": [kind for kind in seen + unseen if kind not in made],
    }


if __name__ == "__main__":
    main()
