"""What a card may claim: the rule of models/training/README.md as code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

LEAST_AUC = 0.6


def status_of(rows: Iterable[Mapping[str, object]], foreign: Iterable[str]) -> str:
    """`validated` only if, on some data sets whose generators this folder did not make, every AUC's interval ends above .60 and the interval of
    the metadata-only control holds .5; else `demonstration`. A figure without an interval proves nothing."""
    rows, foreign = list(rows), set(foreign)
    proven = False
    for name in foreign:
        figures = {row["metric"]: row for row in rows if row["dataset"] == name}
        auc, control = figures.get("AUC"), figures.get("metadata-only control AUC")
        if auc is None or control is None or "low" not in auc or "low" not in control:
            return "demonstration"
        if auc["low"] <= LEAST_AUC or not control["low"] <= 0.5 <= control["high"]:
            return "demonstration"
        proven = True
    return "validated" if proven else "demonstration"
