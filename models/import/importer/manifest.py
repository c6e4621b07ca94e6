"""Puts a model.yaml together. Format: docs/design/model-package.md. Pure; standard library alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from importer.errors import ImportRefused

NOT_STATED = "Not stated by whoever imported the checkpoint."
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MAX_TEXT = 1000


@dataclass(frozen=True)
class Stated:
    """What only the user can know about a checkpoint; nothing of it is measured here."""

    name: str
    version: str = "0.1.0"
    calibration: str = "none"
    low: float = 0.3
    high: float = 0.7
    license: str = NOT_STATED
    status: str = "demonstration"
    intended_use: str = "Trying an imported checkpoint out."
    limitations: str = "Nothing was measured at import: where this model errs, and how its scores are to be read, is not known here."
    training_data: str = NOT_STATED


def checked(stated: Stated) -> Stated:
    """Raises ImportRefused with every field that the pod would refuse."""
    texts = {"--license": stated.license, "--intended-use": stated.intended_use, "--limitations": stated.limitations, "--training-data": stated.training_data}
    problems = [f"{option} has {len(text)} characters; 1 to {MAX_TEXT} are possible" for option, text in texts.items() if not 1 <= len(text) <= MAX_TEXT]
    if not NAME.fullmatch(stated.name):
        problems.append(f"--name {stated.name}: lower-case letters, digits and dashes, 63 at most")
    if not SEMVER.fullmatch(stated.version) or len(stated.version) > 64:
        problems.append(f"--version {stated.version}: not a semantic version, such as 1.0.0")
    if not 0 <= stated.low < stated.high <= 1:
        problems.append(f"--low {stated.low} --high {stated.high}: 0 <= low < high <= 1 is needed")
    if stated.status == "validated" and stated.training_data == NOT_STATED:
        problems.append("--status validated needs --training-data: models/training/README.md says what the word means")
    if problems:
        raise ImportRefused("; ".join(problems))
    return stated


def calibration(text: str) -> dict[str, Any]:
    """`none`, `platt:SLOPE,INTERCEPT` or `temperature:T`; the numbers come from the user's own measurement. Raises ImportRefused."""
    method, _, numbers = text.partition(":")
    try:
        values = [float(number) for number in numbers.split(",")] if numbers else []
    except ValueError:
        values = None
    match method, values:
        case "none", []:
            return {"method": "none"}
        case "platt", [slope, intercept] if 0 < slope < float("inf") and abs(intercept) < float("inf"):
            return {"method": "platt", "slope": slope, "intercept": intercept}
        case "temperature", [temperature] if 0 < temperature < float("inf"):
            return {"method": "temperature", "temperature": temperature}
    raise ImportRefused(f"--calibration {text}: use none, platt:SLOPE,INTERCEPT or temperature:T with a positive slope or temperature")


def manifest(
    stated: Stated, modality: str, description: str, pipeline: dict[str, Any], graphs: dict[str, Any], output: dict[str, Any], golden: list[dict[str, Any]],
) -> dict[str, Any]:
    checked(stated)
    return {
        "formatVersion": 1, "name": stated.name, "version": stated.version, "modality": modality, "description": description,
        "pipeline": pipeline, "graphs": graphs, "output": output, "calibration": calibration(stated.calibration),
        "thresholds": {"low": stated.low, "high": stated.high}, "golden": golden,
        "card": {
            "license": stated.license, "status": stated.status, "intendedUse": stated.intended_use, "limitations": stated.limitations,
            "trainingData": stated.training_data, "evaluation": [],
        },
    }
