"""What the figures themselves warn of, in sentences."""

from underlay.evaluate.examination import Examination
from underlay.evaluate.wording import count, gap_text, in_sentence, metric_of, verdict

FEW = 100
"""Test rows below which an accuracy's interval is some 20 points wide."""
NAMED = 5
"""Labels named in one sentence."""


def remarks(target: Examination) -> list[str]:
    """Sentences a reader should see before the figures: too few rows, untested labels, a baseline not beaten.

    Args:
        target: What was measured.
    """
    if target.key not in target.metrics:
        return []
    found = []
    if target.count < FEW:
        found.append(f"Only {count(target.count, 'test row')}: the intervals are wide, and their width is the message.")
    untested = [one.label for one in target.figures if one.recall is None]
    if untested:
        named = ", ".join(untested[:NAMED]) + (", …" if len(untested) > NAMED else "")
        has = "has" if len(untested) == 1 else "have"
        found.append(f"{count(len(untested), 'label')} {has} no test row, so nothing is known of it: {named}.")
    found += target.notes
    name = in_sentence(metric_of(target.key).title)
    for other in target.opponents[::-1]:
        how = {"level": "not clearly better than", "worse": "worse than"}.get(verdict(target.key, other.gap))
        if how:
            found.append(f"In {name} this model is {how} {other.name}: {gap_text(target.key, other.gap)}.")
    return found
