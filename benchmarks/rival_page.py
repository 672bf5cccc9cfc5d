"""`docs/how-to/small-models.md`: small models of ours beside those of others, from the records of the race alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.record import ROOT, read_lines
from benchmarks.small_rivals import RESULTS, TASKS

PAGE = ROOT / "docs" / "how-to" / "small-models.md"
TITLES: Mapping[str, str] = {
    "P13-sst2": "SST-2: sentences of film reviews, two labels",
    "P13-banking77": "Banking77: questions to a bank, 77 labels",
    "P13-fashion": "Fashion-MNIST: 10,000 labels, EfficientNet-Lite0 at 96 x 96",
    "P13-ecg5000": "ECG5000: heartbeats, 500 labels, an inception trunk",
}
HEAD = """# Small models beside those of others

Written by `python -m benchmarks.rival_page` from `benchmarks/results/small_rivals.jsonl`, which
`python -m benchmarks.small_rivals` measures. Every arm is a process of its own, loaded once; they answer in turns, so
that what else the machine does hits all. Timed is the whole way of a row: raw value to label, tokenizing or decoding
included, on as many threads as each library takes by itself. Texts of the rivals are sorted by length and asked in
batches of 32, which suits them.

On texts the rivals run the same weights: the mean of all positions under a linear layer, in the classes of
`transformers`. OpenVINO's int8 is NNCF's post-training quantisation on 300 training rows, CTranslate2's its own. The
model2vec student is another model, a vector a word from the same trunk, and a logistic regression on the training rows.
Pictures and series are read into our networks by nobody else: there other runtimes answer under our graph, behind our
modality. CTranslate2 and the pipeline have no such networks.
"""
COLUMNS = """| | accuracy | rows/s | one row, ms | MB |
|---|---:|---:|---:|---:|
"""


def section(title: str, found: Sequence[Mapping[str, Any]]) -> str:
    """One task: the middle of its seeds, accuracy with its range over them."""
    if not found:
        return f"## {title}\n\nNot measured yet.\n"
    arms = [entry["values"]["arms"] for entry in found]
    shared = [name for name in arms[0] if all(name in one for one in arms)]
    order = sorted(shared, key=lambda name: -_middle(arms, name, "rows_per_second"))
    lines = "\n".join(_line(arms, name) for name in order)
    first = found[0]
    failed = {name: said for entry in found for name, said in entry["values"]["failed"].items()}
    out = "".join(f"\nLeft out: {name} ({said}).\n" for name, said in sorted(failed.items()))
    rivals = ", ".join(f"{name} {number}" for name, number in first["values"]["rivals"].items())
    ours = ", ".join(f"{name} {first['versions'][name]}" for name in ("torch", "transformers"))
    machine = f"{first['machine']['cpu']}, {first['machine']['cores']} cores"
    return (
        f"## {title}\n\n{COLUMNS}{lines}\n{out}\n{first['values']['rows']:,} test rows, {first['values']['batch']:,} "
        f"timed together, {len(found)} seeds, {first['values']['turns']} turns; {machine}; {ours}, {rivals}.\n"
    )


def _middle(arms: Sequence[Mapping[str, Any]], name: str, key: str) -> float:
    return median(float(one[name][key]) for one in arms)


def _line(arms: Sequence[Mapping[str, Any]], name: str) -> str:
    accuracies = [float(one[name]["accuracy"]) for one in arms]
    low, high = (min(accuracies), max(accuracies)) if len(arms) > 1 else (arms[0][name]["low"], arms[0][name]["high"])
    shown = f"**{name}**" if name.startswith("ours, int8") else name
    return (
        f"| {shown} | {median(accuracies):.3f} ({low:.3f} to {high:.3f}) | "
        f"{_middle(arms, name, 'rows_per_second'):,.0f} | {_middle(arms, name, 'one_row_ms'):.2f} | "
        f"{_middle(arms, name, 'megabytes'):.1f} |"
    )


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """The whole page.

    >>> "Not measured yet" in page([])
    True
    """
    found = {name: _newest([one for one in records if one["benchmark"] == name]) for name in TASKS}
    return "\n".join([HEAD, *(section(TITLES[name], found[name]) for name in TASKS)])


def _newest(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The last of each seed, of the last recipe."""
    mine = [one for one in records if "development" not in one["cell"]]
    last = mine[-1]["cell"]["recipe"] if mine else None
    return list({one["cell"]["seed"]: one for one in mine if one["cell"]["recipe"] == last}.values())


def main(out: Path = PAGE) -> None:
    """Write the page."""
    out.write_text(page(read_lines(RESULTS.path({}))), encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
