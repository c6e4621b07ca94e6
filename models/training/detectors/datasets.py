"""Datasets that a user brings: folders and manifests, and splits in which nothing of a test was trained on. Standard library alone.

A manifest is CSV or TSV with a header: `path` (relative to the manifest), `label` (real or fake), `source` (what the file was
made from: photograph, recording, video; a fake and the real that it was made from share it), `speaker` (whom one sees or hears; may be
empty), `generator` (what made a fake; empty for reals) and, where it is split already, `split` (train, calibration or test).

A folder has `real/` and `fake/`; `fake/NAME/...` names the generator, and a file's source is its name without the ending, so that
`real/a.png` and `fake/gan/a.jpg` are a pair.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

COLUMNS = ("path", "label", "source", "speaker", "generator")
SPLITS = ("train", "calibration", "test")
LABELS = {"real": 0, "fake": 1}
IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"}
SOUNDS = {".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm"}
VIDEOS = {".mp4", ".mov", ".mkv", ".avi", ".m4v"}
NAMED = 5


class DatasetError(ValueError):
    """A dataset that cannot be used; the message says where and what to do."""


class Leakage(DatasetError):
    """Something is on two sides of a split."""


@dataclass(frozen=True)
class Item:
    """One file. `label` is 1 for fake; `speaker` and `generator` are empty where there is none; `split` where nobody has split yet."""

    path: Path
    label: int
    source: str
    speaker: str = ""
    generator: str = ""
    split: str = ""


def load(path: Path, split: str | None = None) -> list[Item]:
    """The files of a folder or of a manifest, in the order of the manifest or of their names; those of one split where it is named.

    DatasetError for what is missing: the file, a column, a value, a listed file, a class of a folder, the split.
    """
    if not path.exists():
        raise DatasetError(f"{path}: there is no such folder or manifest")
    items = from_folder(path) if path.is_dir() else from_manifest(path)
    if split is None:
        return items
    chosen = [item for item in items if item.split == split]
    if not chosen:
        raise DatasetError(f"{path}: no file belongs to the split {split}; there are {listed({item.split or '(none)' for item in items})}")
    return chosen


def from_folder(folder: Path) -> list[Item]:
    items = []
    for name, label in LABELS.items():
        base = folder / name
        if not base.is_dir():
            raise DatasetError(f"{folder}: a dataset folder has real/ and fake/; {name}/ is missing. Is there a manifest (CSV or TSV) to name instead?")
        files = [path for path in sorted(base.rglob("*")) if path.is_file() and path.suffix.lower() in IMAGES | SOUNDS | VIDEOS]
        if not files:
            raise DatasetError(f"{base}: holds no images, sounds or videos")
        for path in files:
            inner = path.relative_to(base).parts
            generator = "" if label == 0 else inner[0] if len(inner) > 1 else "unknown"
            items.append(Item(path, label, path.stem, "", generator))
    return items


def from_manifest(manifest: Path) -> list[Item]:
    delimiters = {".csv": ",", ".tsv": "\t"}
    if manifest.suffix.lower() not in delimiters:
        raise DatasetError(f"{manifest}: a manifest's name ends in .csv or .tsv")
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter=delimiters[manifest.suffix.lower()])
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DatasetError(f"{manifest}: lacks the columns {', '.join(missing)}; it has {', '.join(reader.fieldnames or ['none'])}")
        items = [item_of(row, f"{manifest}:{reader.line_num}", manifest.parent) for row in reader]
    if not items:
        raise DatasetError(f"{manifest}: lists no files")
    absent = [item.path for item in items if not item.path.is_file()]
    if absent:
        raise DatasetError(f"{manifest}: {len(absent)} of {len(items)} files are not there: {listed(map(str, absent))}")
    seen: set[Path] = set()
    twice = [item.path for item in items if item.path in seen or seen.add(item.path)]
    if twice:
        raise DatasetError(f"{manifest}: lists {len(twice)} files twice: {listed(map(str, twice))}")
    return items


def item_of(row: Mapping[str | None, str | None], at: str, base: Path) -> Item:
    if None in row or None in row.values():
        raise DatasetError(f"{at}: has another number of values than the header")
    value = {name: (text or "").strip() for name, text in row.items() if name}
    for name in ("path", "source"):
        if not value[name]:
            raise DatasetError(f"{at}: {name} is empty")
    if value["label"] not in LABELS:
        raise DatasetError(f"{at}: label is {value['label']!r}, not real or fake")
    label, generator, split = LABELS[value["label"]], value["generator"], value.get("split", "")
    if label == 1 and not generator:
        raise DatasetError(f"{at}: a fake needs its generator's name; write unknown where nobody knows it")
    if label == 0 and generator:
        raise DatasetError(f"{at}: a real file has no generator, {generator!r} is given")
    if split and split not in SPLITS:
        raise DatasetError(f"{at}: split is {split!r}, not {', '.join(SPLITS)}")
    return Item(base / value["path"], label, value["source"], value["speaker"], generator, split)


def write(items: Sequence[Item], manifest: Path) -> None:
    """Writes a CSV manifest; the files have to lie under its folder."""
    names = {number: name for name, number in LABELS.items()}
    with manifest.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow([*COLUMNS, "split"])
        for item in items:
            rows.writerow([item.path.relative_to(manifest.parent).as_posix(), names[item.label], item.source, item.speaker, item.generator, item.split])


def divided(
    items: Sequence[Item], shares: Mapping[str, float], seed: int, by: Sequence[str] = ("source", "speaker"), slack: float = 0.1
) -> list[Item]:
    """The items with their splits drawn, so that no value of the fields in `by` is on two sides.

    What shares a source or a speaker stays together, also by way of a third file. DatasetError when a split is further than `slack` from
    its share: then too much hangs together to divide it so. Generators are better held out by name (`without_generators`), since
    fakes of one source by several generators would hang all of these together.
    """
    if set(shares) - set(SPLITS) or abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        raise DatasetError(f"shares are positive, add up to 1 and belong to {', '.join(SPLITS)}, not {dict(shares)}")
    clusters = connected(items, by)
    random.Random(seed).shuffle(clusters)
    clusters.sort(key=len, reverse=True)
    chosen: dict[int, str] = {}
    filled = dict.fromkeys(shares, 0)
    for cluster in clusters:
        split = max(shares, key=lambda name: shares[name] - (filled[name] + len(cluster)) / len(items))
        filled[split] += len(cluster)
        chosen |= dict.fromkeys(cluster, split)
    for name, share in shares.items():
        if abs(filled[name] / len(items) - share) > slack or not filled[name]:
            raise DatasetError(
                f"{name} would hold {filled[name]} of {len(items)} files and not {share:.0%}: {len(clusters[0])} of them hang together by {', '.join(by)}. "
                "Bring more sources, ask for other shares, or name the splits in the manifest"
            )
    return [replace(item, split=chosen[index]) for index, item in enumerate(items)]


def connected(items: Sequence[Item], by: Sequence[str]) -> list[list[int]]:
    """Indices of the items that share a value of a field in `by`, directly or through others. Empty values join nothing."""
    parent = list(range(len(items)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, item in enumerate(items):
        for field in by:
            if value := getattr(item, field):
                parent[root(index)] = root(first.setdefault((field, value), index))
    clusters: dict[int, list[int]] = {}
    for index in range(len(items)):
        clusters.setdefault(root(index), []).append(index)
    return list(clusters.values())


def without_generators(items: Sequence[Item], held_out: Collection[str]) -> list[Item]:
    """The items with these generators in the test alone, and no other there: test fakes of other generators and earlier fakes of these are left out."""
    unknown = set(held_out) - {item.generator for item in items}
    if unknown:
        raise DatasetError(f"there are no fakes by {listed(unknown)}; there are some by {listed({item.generator for item in items} - {''})}")
    return [item for item in items if item.label == 0 or (item.generator in held_out) == (item.split == "test")]


def refuse_leakage(items: Sequence[Item], by: Sequence[str] = ("source", "speaker", "generator"), contents: bool = True) -> None:
    """Leakage when a value of a field in `by` is in two splits, or, with `contents`, when equal bytes are. Items without a split are an error."""
    if any(not item.split for item in items):
        raise DatasetError("some files have no split: name it in the manifest, or let it be drawn")
    keys = {field: [getattr(item, field) for item in items] for field in by}
    if contents:
        keys["file"] = [hashlib.sha256(item.path.read_bytes()).hexdigest() for item in items]
    for field, values in keys.items():
        sides: dict[str, dict[str, Path]] = {}
        for item, value in zip(items, values):
            if value:
                sides.setdefault(value, {})[item.split] = item.path
        shared = {value: found for value, found in sides.items() if len(found) > 1}
        if shared:
            names = [", ".join(map(str, found.values())) for found in shared.values()] if field == "file" else list(shared)
            raise Leakage(f"{len(shared)} {field}s are in more than one of {', '.join(SPLITS)}, so the test would be of what was trained on: {listed(names)}")


def listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:NAMED]) + (f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else "")
