"""The command line: one command per architecture, and `onnx` for graphs that are ready."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import fields
from pathlib import Path

from importer import families, foreign
from importer.catalogue import ARCHITECTURES
from importer.errors import ImportRefused
from importer.manifest import Stated, checked, calibration


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="models/import/run", description="Turns a checkpoint into a model package. See models/import/README.md.")
    commands = made.add_subparsers(dest="command", required=True, metavar="ARCHITECTURE")
    for architecture in ARCHITECTURES.values():
        command = commands.add_parser(architecture.name, help=architecture.description)
        command.add_argument("checkpoint", type=Path, help="a state dict: .pth, .pt or .safetensors")
        if "channels" in architecture.questions:
            command.add_argument("--channels", choices=("rgb", "bgr"), help="the order that the checkpoint was trained with")
        about(command, architecture.name)
    for name, words in (("onnx", "any image classifier that is an ONNX graph already"), ("meso4", "a Meso4 that was converted from Keras: RGB, 0..1, NHWC, P(real)")):
        command = commands.add_parser(name, help=words)
        command.add_argument("checkpoint", type=Path, help="the graph: .onnx, one file")
        about(command, name if name != "onnx" else None)
        if name == "onnx":
            described(command)
    return made


def about(command: argparse.ArgumentParser, name: str | None) -> None:
    given = command.add_argument_group("what only you can know")
    command.add_argument("--out", type=Path, required=True, help="the new folder")
    command.add_argument("--name", default=name, required=name is None, help="serving name")
    command.add_argument("--golden", type=Path, nargs="+", action="extend", default=[], help="media whose scores are pinned; default: the fixtures of this repository")
    command.add_argument("--int8", action="store_true", help="add an INT8 variant and print what it costs")
    for field in fields(Stated):
        if field.name == "name":
            continue
        option, kind = f"--{field.name.replace('_', '-')}", float if isinstance(field.default, float) else str
        choices = ("demonstration", "validated") if field.name == "status" else None
        given.add_argument(option, type=kind, default=field.default, choices=choices, help=f"default: {field.default}")


def described(command: argparse.ArgumentParser) -> None:
    given = command.add_argument_group("what the graph may not tell")
    given.add_argument("--description", help="one sentence")
    for option, choices in {
        "--positive": ("fake", "real"), "--activation": ("sigmoid", "softmax", "none"), "--fit": ("stretch", "cover-center", "contain-pad"),
        "--kernel": foreign.KERNELS, "--channels": ("rgb", "bgr"),
    }.items():
        given.add_argument(option, choices=choices)
    for option, kind in {"--index": int, "--width": int, "--height": int, "--scale": float}.items():
        given.add_argument(option, type=kind)
    given.add_argument("--output", help="the output that judges")
    given.add_argument("--heatmap", help="the output that says where")
    for option in ("--mean", "--std"):
        given.add_argument(option, type=float, nargs=3)


def stated_in(options: argparse.Namespace) -> Stated:
    made = checked(Stated(**{field.name: getattr(options, field.name) for field in fields(Stated)}))
    calibration(made.calibration)
    return made


def import_checkpoint(options: argparse.Namespace) -> None:
    architecture = ARCHITECTURES[options.command]
    missing = [f"--{question}" for question in architecture.questions if getattr(options, question) is None]
    if missing:
        raise ImportRefused(f"{architecture.name} needs {', '.join(missing)}: the checkpoint does not say what it was trained with, and models/import/README.md why it matters")
    stated = stated_in(options)
    # Only now: torch takes a second, and a wrong option should not.
    from importer import building, checkpoint, packing

    state = checkpoint.read(options.checkpoint)
    parts = building.BUILDERS[architecture.name](state, options.checkpoint)
    packing.write(
        options.out, stated, architecture.modality, architecture.description, architecture.pipeline(options), architecture.output, options.golden,
        options.int8, lambda folder: building.export_all(architecture.name, parts, folder),
    )


def import_graph(options: argparse.Namespace) -> None:
    stated = stated_in(options)
    from importer import inspection, packing

    said = foreign.MESO4
    if options.command == "onnx":
        said = foreign.Options(**{field.name: getattr(options, field.name) for field in fields(foreign.Options)})
    found = foreign.describe(inspection.ends_of(options.checkpoint), said)
    pipeline = families.image_classifier(
        found.width, found.height, fit=said.fit, kernel=said.kernel, channels=said.channels, layout=found.layout, scale=said.scale, mean=said.mean, std=said.std,
    )

    def build(folder: Path) -> dict[str, dict[str, object]]:
        shutil.copyfile(options.checkpoint, folder / "classifier.onnx")
        entry: dict[str, object] = {"file": "classifier.onnx", "sha256": "", "input": found.taken.name, "output": found.given.name}
        return {"classifier": entry | ({"heatmap": said.heatmap} if said.heatmap else {})}

    description = getattr(options, "description", None) or {"meso4": "Meso4: four small convolutions over a whole picture of a face."}.get(
        options.command, f"{options.checkpoint.name}, an image classifier made by others."
    )
    packing.write(options.out, stated, "image", description, pipeline, found.output, options.golden, options.int8, build)


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        (import_checkpoint if options.command in ARCHITECTURES else import_graph)(options)
    except ImportRefused as refusal:
        print(f"{options.command}: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
