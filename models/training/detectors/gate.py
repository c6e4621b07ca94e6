"""Whether a card may say `validated`: the gate of README.md as code. Standard library alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
