"""The arms are what they claim, rows are nested and stratified, runs resume, the page concludes nothing too early."""

import doctest
import importlib
import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.record import read_lines
from studies.language_as_foundation import cells, comparisons, native, page, picture, run, tasks, training
from studies.language_as_foundation.arms import ARMS, NATIVE, model_of
from studies.language_as_foundation.tasks import TASKS, Data, in_share, learn_and_validation

ROOT = Path(__file__).parent.parent.parent
STUDY = ROOT / "studies" / "language_as_foundation"
PICTURE = {"name": "image.v1", "height": 8, "breadth": 8, "patch": 4, "class_token": False, "limit": 4}


def model(name, seed=0):
    return model_of(ARMS[name], PICTURE, column="image", outputs=3, seed=seed)


def trunk(name, seed=0):
    return dict(model(name, seed).trunk.named_parameters())


@pytest.mark.parametrize("path", sorted(STUDY.glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_in_the_docstrings_run(path):
    module = f"studies.language_as_foundation.{path.stem}".removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_shuffled_keeps_the_numbers_of_every_tensor_and_not_their_order():
    language, shuffled = trunk("language-full"), trunk("shuffled-full")
    assert list(language) == list(shuffled)
    for name, tensor in language.items():
        parts = 3 if ".qkv." in name else 1  # query, key and value are tensors of their own in the checkpoint
        for mine, theirs in zip(tensor.chunk(parts), shuffled[name].chunk(parts), strict=True):
            assert not torch.equal(mine, theirs), name
            assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values), name


def test_shuffled_and_random_draw_anew_with_every_seed_and_language_does_not():
    name = "layers.0.feed_forward.up.weight"
    assert torch.equal(trunk("language-full")[name], trunk("language-full", seed=1)[name])
    for arm in ("shuffled-full", "random-full"):
        assert torch.equal(trunk(arm)[name], trunk(arm)[name])
        assert not torch.equal(trunk(arm)[name], trunk(arm, seed=1)[name])


def test_random_and_language_have_equal_shapes_and_no_trunk_has_no_layers():
    shapes = {arm: {name: one.shape for name, one in trunk(arm).items()} for arm in ("language-full", "random-full")}
    assert shapes["language-full"] == shapes["random-full"]
    assert len(shapes["random-full"]) == 6 * 12
    assert trunk("no-trunk") == {}
    assert model("no-trunk").width == model("language-full").width == 384


def test_stem_and_head_begin_alike_in_every_arm_of_a_seed():
    outside = [
        {name: one for name, one in model(arm).named_parameters() if not name.startswith("trunk.")} for arm in ARMS
    ]
    assert all(set(one) == set(outside[0]) for one in outside)
    assert all(torch.equal(one[name], tensor) for one in outside for name, tensor in outside[0].items())


@pytest.mark.parametrize("arm", [name for name in ARMS if ARMS[name].frozen])
def test_frozen_learns_layer_norms_stem_and_head_and_nothing_else(arm):
    built = model(arm)
    learning = {name for name, one in built.named_parameters() if one.requires_grad}
    norms = {f"trunk.layers.{n}.{kind}_norm.{end}" for n in range(6) for kind in ("attention", "feed_forward")
             for end in ("weight", "bias")}  # fmt: skip
    outside = {name for name, _ in built.named_parameters() if not name.startswith("trunk.")}
    assert {name.partition(".")[0] for name in outside} == {"stems", "heads"}  # the mean has nothing to learn
    assert learning == norms | outside


@pytest.mark.parametrize("arm", [name for name in ARMS if not ARMS[name].frozen])
def test_full_learns_everything(arm):
    assert all(one.requires_grad for one in model(arm).parameters())


def test_every_beginning_of_the_rows_is_stratified_and_validation_holds_a_fifth_of_each_class():
    labels = np.array(["rare"] * 50 + ["common"] * 250 + ["usual"] * 100)
    learn, validation = learn_and_validation(labels, np.random.default_rng(0))
    assert sorted([*learn, *validation]) == list(range(400))
    assert {name: int((labels[validation] == name).sum()) for name in set(labels)} == {
        "rare": 10, "common": 50, "usual": 20
    }  # fmt: skip
    for order in (learn, validation, in_share(labels, np.random.default_rng(1))):
        for end in range(1, len(order) + 1):
            for name, share in (("rare", 1 / 8), ("common", 5 / 8), ("usual", 2 / 8)):
                assert abs((labels[order[:end]] == name).sum() - share * end) <= 1.5


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Squares of three greys in noise, under the name and in the form of the study's own pictures."""
    from PIL import Image

    rng = np.random.default_rng(0)
    rows = []
    for number in range(72):
        label = number % 3
        pixels = np.clip(rng.normal(60 + 70 * label, 20, (8, 8)), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        rows.append({"image": file.getvalue(), "label": f"grey {label}", "split": "train" if number < 60 else "test"})
    (tmp_path / "fashion_mnist").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "fashion_mnist" / "data.parquet")
    monkeypatch.setenv("UNDERLAY_DATA", str(tmp_path))
    options = {"size": 8, "patch": 4}
    task = replace(TASKS["image"], options=options, sizes=(15, 30, 60), steps=6, test_rows=9)
    return task, Data(task, tmp_path / "stores")


def test_sizes_are_nested_and_test_rows_are_drawn_once(pictures):
    task, data = pictures
    sets = [tuple(set(part.index) for part in data.rows(size)) for size in task.sizes]
    assert [(len(learn), len(held)) for learn, held in sets] == [(12, 3), (24, 6), (48, 12)]
    for (small, small_held), (large, large_held) in pairwise(sets):
        assert small < large
        assert small_held < large_held
    assert not sets[-1][0] & sets[-1][1]
    assert all(len(data.encoded(size).test) == 9 for size in task.sizes)
    with pytest.raises(ValueError, match="image has 60 training rows; 65 were asked for"):
        data.rows(65)


def test_two_arms_are_swept_and_finished_and_nothing_is_made_twice(pictures, tmp_path, monkeypatch):
    task, data = pictures
    monkeypatch.setattr(cells, "RATES", (1e-3, 3e-3))
    monkeypatch.setattr(cells, "BEYOND", {3e-3: 1e-2})
    monkeypatch.setattr(cells, "SWEEP_SEEDS", (100,))
    monkeypatch.setattr(cells, "SEEDS", (0,))
    folder, told = tmp_path / "results", []
    arms = ["language-frozen", "no-trunk"]

    def work(stage, **options):
        return run.work(task, data, stage=stage, folder=folder, arms=arms, tell=told.append, **options)

    assert not work("sweep", fits=lambda seconds: len(told) < 1)
    assert len(told) == 1
    assert work("sweep")
    swept = read_lines(folder / "image.jsonl")
    assert {line["cell"]["rate"] for line in swept} >= {1e-3, 3e-3}
    assert not any("test_accuracy" in line["values"] for line in swept)
    assert work("final")
    final = [line for line in read_lines(folder / "image.jsonl") if line["cell"]["stage"] == "final"]
    assert len(final) == 2 * 3
    assert all(line["cell"]["rate"] == cells.chosen_rate(task, line["cell"]["arm"], swept) for line in final)
    assert all({"test_accuracy", "validation_accuracy", "best_step"} <= set(line["values"]) for line in final)
    assert {line["values"]["steps"] for line in final} == {6}
    assert (len(told), work("sweep"), work("final")) == (len(swept) + 6, True, True)
    assert len(told) == len(swept) + 6
    again = training.run(ARMS["no-trunk"], data, size=30, rate=swept[-1]["cell"]["rate"], seed=100, test=False)
    last = swept[-1]["cell"]
    assert (last["arm"], last["seed"]) == ("no-trunk", 100)
    assert again["validation_loss"] == swept[-1]["values"]["validation_loss"]


def test_a_step_changes_what_learns_and_leaves_the_rest(pictures, monkeypatch):
    _, data = pictures
    kept = []
    monkeypatch.setattr(
        training, "model_of", lambda *given, **named: kept.append(model_of(*given, **named)) or kept[-1]
    )
    training.run(ARMS["random-frozen"], data, size=15, rate=1e-2, seed=0, test=False)
    rows = data.encoded(15)
    before = model_of(ARMS["random-frozen"], rows.described, column="image", outputs=3, seed=0)
    for (name, first), (_, now) in zip(before.named_parameters(), kept[0].named_parameters(), strict=True):
        assert torch.equal(first, now) != first.requires_grad, name


def test_a_run_that_diverges_is_counted_and_has_figures(pictures):
    _, data = pictures
    values = training.run(ARMS["no-trunk"], data, size=15, rate=1e38, seed=0, test=True)
    assert values["diverged"]
    assert 0 <= values["test_accuracy"] <= 1
    assert "NaN" not in json.dumps(values)


@pytest.mark.parametrize("arm", list(NATIVE))
def test_what_users_take_is_measured_on_the_same_test_rows(arm, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(60):
        fast = number % 2
        wave = np.sin(np.arange(64) * (0.9 if fast else 0.3) + rng.uniform(0, 6)) + rng.normal(0, 0.1, 64)
        split = "train" if number < 50 else "test"
        rows.append(
            {"dataset": "FordA", "series": [wave.tolist()], "label": "fast" if fast else "slow", "split": split}
        )
    (tmp_path / "ucr_forda").mkdir()
    pd.DataFrame(rows).to_parquet(tmp_path / "ucr_forda" / "data.parquet")
    monkeypatch.setenv("UNDERLAY_DATA", str(tmp_path))
    task = replace(TASKS["series"], sizes=(20, 30, 50), test_rows=8)
    values = native.run(arm, Data(task, tmp_path / "stores"), size=50, seed=0, folder=tmp_path / "work")
    assert values["train_rows"] == 50
    assert values["test_accuracy"] * 8 == int(values["test_accuracy"] * 8)
    assert values["test_accuracy"] >= 0.75
    assert values.get("trunk", "minirocket") == "minirocket"


def test_without_the_data_a_task_is_skipped_and_says_so():
    environment = {key: value for key, value in os.environ.items() if key != "UNDERLAY_DATA"}
    words = [sys.executable, "-m", "studies.language_as_foundation.run", "audio", "--stage", "sweep"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "audio: skipped: UNDERLAY_DATA is not set" in done.stdout


ABOUT = {
    "machine": {"cpu": "x", "cores": 1, "flags": ["avx2"], "memory_gib": 24},
    "versions": {"torch": "2"},
}


def sweep(task, arm, rate, seed, accuracy, loss=1.0):
    cell = cells.Cell(task.name, "sweep", arm, task.middle, seed, rate, cells.digest(task))
    values = {"validation_accuracy": accuracy, "validation_loss": loss, "seconds": 9.0}
    return {**ABOUT, "cell": cell.key(), "values": values}


def swept(task, arm, by_rate):
    return [sweep(task, arm, rate, seed, accuracy) for rate, accuracy in by_rate.items() for seed in cells.SWEEP_SEEDS]


def finals(task, level, sizes=None, seeds=cells.SEEDS):
    """Final runs of all arms at `level(arm, size, seed)`."""
    lines = []
    for arm, size, seed in product((*ARMS, *NATIVE), sizes or task.sizes, seeds):
        rate = None if arm in NATIVE else 3e-4
        cell = cells.Cell(task.name, "final", arm, size, seed, rate, cells.digest(task))
        values = {"test_accuracy": level(arm, size, seed), "seconds": 9.0}
        lines.append({**ABOUT, "cell": cell.key(), "values": values})
    return lines


INNER = {1e-4: 0.5, 3e-4: 0.7, 1e-3: 0.6, 3e-3: 0.4}


def test_there_are_322_runs_of_the_trained_arms_of_two_tasks():
    two = [TASKS["image"], TASKS["series"]]
    assert sum(cell.arm in ARMS for task in two for cell in cells.cells(task, [])) == 322


def test_an_edge_that_wins_is_extended_once_and_ties_go_to_the_lower_loss():
    task, arm = TASKS["series"], "random-full"
    assert cells.chosen_rate(task, arm, swept(task, arm, INNER)) == 3e-4
    assert cells.chosen_rate(task, arm, swept(task, arm, INNER)[:-1]) is None
    edge = swept(task, arm, {**INNER, 3e-3: 0.9})
    assert cells.chosen_rate(task, arm, edge) is None
    asked = [cell for cell in cells.missing(task, edge, ["sweep"]) if cell.arm == arm]
    assert [(cell.rate, cell.seed) for cell in asked] == [(1e-2, 100), (1e-2, 101)]
    assert cells.chosen_rate(task, arm, edge + swept(task, arm, {1e-2: 0.95})) == 1e-2
    assert cells.chosen_rate(task, arm, edge + swept(task, arm, {1e-2: 0.8})) == 3e-3
    tied = swept(task, arm, {**INNER, 3e-4: 0.1, 1e-3: 0.1, 1e-4: 0.0, 3e-3: 0.0})
    tied = [line for line in tied if line["cell"]["rate"] != 1e-3]
    tied += [sweep(task, arm, 1e-3, seed, 0.1, loss=0.5) for seed in cells.SWEEP_SEEDS]
    assert cells.chosen_rate(task, arm, tied) == 1e-3


def test_final_runs_wait_for_a_rate_and_runs_under_other_settings_do_not_count():
    task = TASKS["series"]
    waiting = cells.missing(task, [], ["final"])
    assert {cell.arm for cell in waiting if cell.ready} == set(NATIVE)
    other = replace(task, options={"patch": 8})
    assert len(cells.missing(task, swept(other, "no-trunk", INNER), ["sweep"])) == 56


def test_intervals_are_students_and_pairs_are_by_seed():
    task = TASKS["series"]
    noise = [0.0, 0.03, -0.02, 0.05, 0.01]
    lines = finals(task, lambda arm, size, seed: 0.6 + noise[seed] + 0.1 * (arm == "language-full"))
    found = comparisons.accuracies(task, lines)
    one = comparisons.paired(found, comparisons.Difference(1, "language-full", "shuffled-full"), 250)
    assert (one.middle, one.half) == (pytest.approx(0.1), pytest.approx(0, abs=1e-12))
    known = comparisons.level(found, "language-full", 250)
    assert known.half == pytest.approx(2.776445 * np.std(noise, ddof=1) / 5**0.5, rel=1e-5)


def test_a_difference_counts_only_where_all_three_sizes_exclude_zero():
    sizes, near, far = (1, 2, 3), comparisons.Interval(0.01, 0.02), comparisons.Interval(-0.05, 0.02)
    assert comparisons.verdict(sizes, [far, far, far]) == "found: less"
    assert comparisons.verdict(sizes, [far, near, far]) == "not found; excludes 0 at 1 (less), 3 (less) alone"
    assert comparisons.verdict(sizes, [near] * 3) == "not found"
    assert comparisons.verdict(sizes, [far, far, None]) == "runs are missing"


def test_the_page_of_nothing_says_that_nothing_is_in():
    text = page.page({name: [] for name in TASKS}, {})
    assert "0 of 56" in text
    assert "runs are still missing" in text
    assert text.count("Nothing yet") == 4
    assert "found: " not in text
    assert "nothing directly about human\nthought" in text


def test_the_page_shows_no_mean_before_all_seeds_are_in_and_findings_after():
    task = TASKS["image"]

    def level(arm, size, seed):
        return 0.5 + 0.01 * seed + 0.2 * arm.startswith("language")

    few = page.page({"image": finals(task, level, seeds=(0, 1, 2, 3))}, {})
    assert "(4 of 5 seeds)" in few
    assert "±" not in few.replace("± half", "")
    assert "found: " not in few
    some = page.page({"image": finals(task, level, sizes=(250,))}, {})
    assert "±" in some.replace("± half", "")
    assert "found: " not in some
    every = page.page({"image": finals(task, level)}, {"image": "results/image.svg"})
    assert "image, language, frozen minus shuffled, frozen: found: more." in every
    assert "image, shuffled, full minus random, full: not found." in every
    assert "one of 27" in every
    assert "](results/image.svg)" in every


def test_the_picture_is_svg_and_holds_complete_points_alone():
    task = TASKS["image"]
    assert page.picture_of(task, finals(task, lambda *_: 0.5, seeds=(0, 1))) is None
    drawn = page.picture_of(
        task, finals(task, lambda arm, size, seed: 0.5 + size / 1e4 + seed / 100, sizes=(250, 1000))
    )
    root = ET.fromstring(drawn)
    kinds = [one.tag.rpartition("}")[2] for one in root.iter()]
    assert kinds.count("circle") == 2 * len(picture.STYLES) == 2 * len(page.TITLES)
    assert set(picture.STYLES) == set(page.TITLES)


def test_the_page_in_the_tree_is_that_of_the_results_in_the_tree():
    records = {name: run.records_of(task) for name, task in TASKS.items()}
    drawn = {name: f"results/{name}.svg" for name, task in TASKS.items() if page.picture_of(task, records[name])}
    assert page.PAGE.read_text(encoding="utf-8") == page.page(records, drawn)


def test_encoded_rows_lie_where_git_does_not_look():
    ignored = subprocess.run(["git", "check-ignore", "-q", tasks.STORES], cwd=ROOT)
    assert ignored.returncode == 0
