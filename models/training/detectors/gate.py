"""Whether a card may say `validated`: the gate of README.md as code. Standard library alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

PAIRED, CONTROL = "macro paired AUC", "metadata-only control AUC"
LEAST = 0.6


def status(rows: Sequence[dict], unseen: Collection[str], others: Collection[str]) -> tuple[str, list[str]]:
    """(`validated` or `demonstration`, why not) by a card's evaluation rows.

    `unseen` names the datasets of generators that training did not see, `others` those of them that this folder did not make; all of them must
    pass, and one of `others` has to be there.
    """
    found = {(row["dataset"], row["metric"]): row for row in rows}
    reasons = [] if set(others) & {name for name, metric in found if metric == PAIRED} else ["no paired set of generators that were not made here"]
    for name in sorted({*unseen, *others}):
        paired, control = found.get((name, PAIRED)), found.get((name, CONTROL))
        if paired is None:
            continue
        if not paired.get("low", 0.0) > LEAST:
            reasons.append(f"{name}: the lower end of {PAIRED} is {paired.get('low', 'unknown')}, not above {LEAST}")
        if name in others and not (control and control.get("low", 1.0) <= 0.5 <= control.get("high", 0.0)):
            reasons.append(f"{name}: the interval of the {CONTROL} does not contain .5")
    return ("demonstration" if reasons else "validated"), reasons


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
        if auc["low"] <= LEAST or not control["low"] <= 0.5 <= control["high"]:
            return "demonstration"
        proven = True
    return "validated" if proven else "demonstration"
