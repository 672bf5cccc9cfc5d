"""Every alarm fires when it should, is quiet when it should, and clears: by Prometheus's own evaluation."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.serve.alarms.cases import CASES, Case, labels

from underlay.core import OutputExists, Schema, Target, UsageError
from underlay.serve.alarms import Watched, rules_of, write
from underlay.serve.alarms.drift import CHANCE, LEAST, bound_of, statistic
from underlay.serve.alarms.reference import OTHERS, spreads
from underlay.serve.metrics import LABELS, Metrics

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing; Debian has it in the package prometheus"
)
HOOK = "http://127.0.0.1:9999/hook"
LABEL = Target("label", "binary", ("negative", "positive"))


def reference(**counts: int) -> dict[str, object]:
    """A reference of 1,000 rows, 400 of which have a confidence of 0.85, the others of 0.98."""
    bins = [0] * 20
    bins[17], bins[19] = 400, 600
    edges = [number / 20 for number in range(20)]
    return {"targets": {"label": {"rows": 1_000, "decisions": counts, "confidence": {"edges": edges, "counts": bins}}}}


REVIEWS = Watched(
    "reviews",
    Schema((), (LABEL,)),
    reference(negative=500, positive=500),
    {"label": {"accuracy": {"value": 0.9, "low": 0.88, "high": 0.92}, "n": 1_000}},
    "0" * 64,
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alarms")
    found = rules_of([REVIEWS])
    write(found, folder, webhook=HOOK, server="127.0.0.1:8001", seals={"reviews": "0" * 64}, force=False)
    return found, folder


def promtool(*arguments: str, folder: Path) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def expected(name: str, case: Case) -> list[dict[str, object]]:
    """How many alarms of this name fire at each of the minutes."""
    question = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    wanted = [(minute, 0) for minute in (*case.quiet, *case.clears)] + [(minute, case.count) for minute in case.fires]
    return [
        {"expr": question, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": firing}]}
        for minute, firing in sorted(wanted)
    ]


def test_no_alarm_is_without_a_test_and_none_is_tested_that_there_is_not(rules):
    assert sorted(CASES) == sorted(alarm.name for alarm in rules[0].alarms)
    for name, case in CASES.items():
        assert case.fires, name
        assert name == "UnderlayWatchdog" or (case.quiet and case.clears), name


@needs_promtool
@pytest.mark.parametrize("name", sorted(CASES))
def test_an_alarm_is_quiet_then_fires_then_clears(name, rules, tmp_path):
    case = CASES[name]
    series = [{"series": named, "values": values} for named, values in case.series]
    shutil.copy(rules[1] / "underlay-rules.yml", tmp_path)
    document = {
        "rule_files": ["underlay-rules.yml"],
        "evaluation_interval": case.every,
        "tests": [{"interval": case.every, "input_series": series, "promql_expr_test": expected(name, case)}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool("test", "rules", "test.yml", folder=tmp_path)


@needs_promtool
def test_what_is_written_is_taken_by_prometheus_and_alertmanager(rules):
    folder = rules[1]
    (folder / "underlay-admin.key").write_text("ul_key", encoding="utf-8")
    promtool("check", "rules", "underlay-rules.yml", folder=folder)
    promtool("check", "config", "prometheus.yml", folder=folder)
    if shutil.which("amtool"):
        done = subprocess.run(["amtool", "check-config", str(folder / "alertmanager.yml")], capture_output=True)
        assert done.returncode == 0, done.stderr


@needs_promtool
@pytest.mark.row("R12")
@pytest.mark.parametrize("odd", ['a "quoted" \\ one', "two\nlines", "a|b.*", "标签", "{{ x }}", "'", "a$b^", "$1"])
def test_labels_of_any_writing_are_compared_as_they_are(odd, tmp_path):
    names = (odd, *(f"rare {number}" for number in range(10)), "usual")
    counts = {odd: 500, "usual": 495, **{f"rare {number}": 0 for number in range(10)}}
    watched = Watched("m", Schema((), (Target("label", "multiclass", names),)), reference(**counts), {})
    write(rules_of([watched]), tmp_path, webhook=HOOK, server="a:1", seals={}, force=False)
    promtool("check", "rules", "underlay-rules.yml", folder=tmp_path)
    escaped = odd.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    of = 'job="underlay",model="m",target="label"'
    document = {
        "rule_files": ["underlay-rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'underlay_predictions_total{{{of},label="{escaped}"}}', "values": "0+2x600"},
                    {"series": f'underlay_predictions_total{{{of},label="usual"}}', "values": "0+1x600"},
                    {"series": f'underlay_predictions_total{{{of},label="rare 3"}}', "values": "0+1x600"},
                    {"series": f'underlay_predictions_total{{{of},label="other"}}', "values": "0+1x600"},
                ],
                "promql_expr_test": [
                    {
                        "expr": 'sort(round(sum by (category) (underlay:answers:count{what="label"})))',
                        "eval_time": "600m",
                        "exp_samples": [
                            # `usual` is the rarer of the common ones, so it is counted with the rare
                            {"labels": f'{{category="{escaped}"}}', "value": 720},
                            {"labels": f'{{category="{OTHERS}"}}', "value": 1_080},
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    promtool("test", "rules", "test.yml", folder=tmp_path)


def test_ten_thousand_windows_of_an_unchanged_bundle_are_at_most_one_false_alarm_a_month():
    """Half a year of windows of six hours is 730; a month's share of 10,000 is 120."""
    compared = spreads("reviews", (LABEL,), REVIEWS.reference, job="underlay")
    assert [spread.what for spread in compared] == ["label", "confidence"]
    rng, alarms = np.random.default_rng(1), 0
    for spread in compared:
        bound = bound_of(spread, chance=CHANCE / len(compared))
        for _ in range(10):  # ten bundles, as each has a reference of its own
            drawn = rng.multinomial(1_000, spread.shares) + 0.5
            windows = rng.multinomial(LEAST, spread.shares, size=1_000)
            beyond = statistic(windows, drawn / drawn.sum(), 1_000) > bound
            alarms += int((beyond[1:] & beyond[:-1]).sum())
    assert alarms <= 10_000 / 120 / 10  # far below one a month
    assert bound > 10


def test_the_bound_of_a_changed_bundle_is_passed_by_nearly_every_window():
    (spread, _) = spreads("reviews", (LABEL,), REVIEWS.reference, job="underlay")
    windows = np.random.default_rng(1).multinomial(LEAST, [0.65, 0.35], size=1_000)
    assert (statistic(windows, spread.shares, 1_000) > bound_of(spread, chance=CHANCE)).mean() > 0.95


def test_a_reference_of_few_rows_allows_more():
    few = {"targets": {"label": {**reference(negative=50, positive=50)["targets"]["label"]}}}
    few["targets"]["label"]["decisions"] = {"negative": 50, "positive": 50}
    (small, *_), (large, *_) = (spreads("m", (LABEL,), one, job="j") for one in (few, REVIEWS.reference))
    window = np.array([350, 150])
    assert statistic(window, small.shares, small.rows) < statistic(window, large.shares, large.rows) / 3


def test_labels_that_depend_on_one_another_are_not_compared_and_numbers_have_none():
    told = reference(negative=500, positive=500)["targets"]["label"]
    for task, expected_kinds in (("multilabel", ["confidence"]), ("multiclass", ["label", "confidence"])):
        target = Target("label", task, ("negative", "positive"))
        assert [one.what for one in spreads("m", (target,), {"targets": {"label": told}}, job="j")] == expected_kinds
    assert spreads("m", (Target("price", "regression"),), {"targets": {"price": {"quantiles": []}}}, job="j") == []
    assert spreads("m", (LABEL,), {}, job="j") == []


def test_a_bundle_that_was_not_measured_has_the_alarms_of_a_server_alone():
    found = rules_of([Watched("m", Schema((), (LABEL,)), {}, {})])
    assert {"UnderlayLabelMix", "UnderlayConfidence", "UnderlayQuality"}.isdisjoint(a.name for a in found.alarms)
    assert len(found.alarms) == len(CASES) - 3
    yaml.safe_load(found.to_yaml())


@pytest.mark.row("R12")
def test_a_target_of_many_labels_has_few_series_and_few_rules():
    target = Target("label", "multiclass", tuple(f"label {number}" for number in range(5_000)))
    counts = dict.fromkeys(target.labels, 1) | {"label 0": 2_000, "label 1": 2_000}
    (spread, _) = spreads("m", (target,), reference(**counts), job="j")
    assert [category.name for category in spread.categories] == ["label 0", "label 1", OTHERS]
    metrics = Metrics(lambda: 0)
    metrics.know("m", (target,))
    text = metrics.text().decode()
    assert text.count("underlay_predictions_total{") == LABELS


def test_nothing_is_replaced_unasked_and_bad_addresses_are_refused(rules, tmp_path):
    found, folder = rules
    for force in (False, True):
        if force:
            write(found, folder, webhook=HOOK, server="a:1", seals={}, force=True)
        else:
            with pytest.raises(OutputExists):
                write(found, folder, webhook=HOOK, server="a:1", seals={}, force=False)
    for webhook in ("", "ftp://a/b", "http://", "http://a b/", "a", "http://a:99999/", "http://a/\n"):
        with pytest.raises(UsageError, match="webhook"):
            write(found, tmp_path / "x", webhook=webhook, server="a:1", seals={}, force=False)
    for server in ("", "a", "http://a:1", "a:1/x", "a:b"):
        with pytest.raises(UsageError, match="HOST:PORT"):
            write(found, tmp_path / "x", webhook=HOOK, server=server, seals={}, force=False)
    assert not (tmp_path / "x").exists()
    with pytest.raises(UsageError, match=r"not counted at 0\.4"):
        rules_of([REVIEWS], latency=0.4)


def test_the_file_with_the_address_of_the_receiver_is_for_its_owner(tmp_path):
    paths = write(rules_of([REVIEWS]), tmp_path, webhook=HOOK, server="a:1", seals={}, force=False)
    modes = {path.name: path.stat().st_mode & 0o777 for path in paths}
    assert modes == {"underlay-rules.yml": 0o644, "alertmanager.yml": 0o600, "prometheus.yml": 0o644}


def test_the_command_writes_what_the_bundle_measured(text_bundle, tmp_path, underlay):
    out = tmp_path / "alarms"
    done = underlay("alarms", f"reviews={text_bundle}", "--out", str(out), "--webhook", HOOK, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [Path(path).name for path in told["files"]] == ["underlay-rules.yml", "alertmanager.yml", "prometheus.yml"]
    assert "UnderlayWatchdog" in told["alarms"]
    again = underlay("alarms", f"reviews={text_bundle}", "--out", str(out), "--webhook", HOOK)
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    lost = underlay("alarms", str(tmp_path / "nothing"), "--out", str(out), "--webhook", HOOK, "--force")
    assert lost.returncode == 4


def test_series_of_the_table_are_as_long_as_they_say():
    assert labels((1, 2, 3))[0][1] == "0 1 2 3"
