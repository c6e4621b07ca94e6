"""What a scorer says of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class NotJudged(ValueError):
    """A file that the detector gives no score; the message is the reason."""


@dataclass(frozen=True)
class Judged:
    """A file's score, P(fake), and the logit before calibration, above zero for fake; nan where only the score is known."""

    score: float
    logit: float


class Scorer(Protocol):
    how: str

    def judge(self, path: Path) -> Judged:
        """NotJudged where there is no score."""
