"""Gates: pass on evidence only."""

from __future__ import annotations

import math

import pytest

from components.evaluation import (
    EvaluationSpec,
    Gate,
    at_least,
    at_most,
    auc,
    bias,
    by,
    evaluation,
    log_loss,
    no_worse_than_champion,
    positive_rate,
    rmse,
)
from components.evaluation.gates import Champion, Verdict, judge
from components.evaluation.slicing import SliceKey
from components.evaluation.summary import Figure, Group
from orchestration import ArgumentError

NO_CHAMPION = Champion(exists=False)
LIVE = Champion(True, "version 3")


def group(
    value: float = 0.8,
    *,
    low: float | None = 0.75,
    high: float | None = 0.85,
    key: SliceKey = (),
    rows: int = 100,
    champion: float | None = None,
    difference: Figure | None = None,
    metric: str = "auc",
) -> Group:
    theirs = {} if champion is None else {metric: Figure(champion)}
    change = difference or Figure(value - (champion or 0.0))
    return Group(key, rows, {metric: Figure(value, low, high)}, theirs, {metric: change}, None)


def verdict(
    gate: Gate,
    overall: Group,
    slices: list[Group] | None = None,
    champion: Champion = NO_CHAMPION,
    invalid: int = 0,
) -> Verdict:
    metric = {"auc": auc(), "log_loss": log_loss(), "rmse": rmse(), "bias": bias()}[gate.metric]
    return judge(evaluation(metrics=[metric], gates=[gate]), overall, slices or [], champion, invalid)


def test_a_value_gate_passes_at_its_bound_and_fails_below() -> None:
    assert verdict(at_least("auc", 0.8), group(0.8)).blessed
    failed = verdict(at_least("auc", 0.81), group(0.8))
    assert not failed.blessed
    assert failed.reasons == ["auc ≥ 0.81: auc is 0.8 (0.75 to 0.85)"]
    assert verdict(at_most("rmse", 2), group(2.0, metric="rmse")).blessed
    assert not verdict(at_most("rmse", 1.9), group(2.0, metric="rmse")).blessed


def test_a_confident_gate_asks_the_bad_end_of_the_interval() -> None:
    assert verdict(at_least("auc", 0.75, confident=True), group(0.8)).blessed
    assert not verdict(at_least("auc", 0.76, confident=True), group(0.8)).blessed
    assert not verdict(at_most("auc", 0.84, confident=True), group(0.8)).blessed
    assert not verdict(at_least("auc", 0.1, confident=True), group(0.8, low=None, high=None)).blessed


def test_no_rows_no_gates_and_invalid_predictions_bless_nothing() -> None:
    assert verdict(at_least("auc", 0.5), group(rows=0)).reasons == ["no rows were evaluated"]
    assert verdict(at_least("auc", 0.5), group(), invalid=2).reasons == ["2 predictions are no valid numbers"]
    without = judge(evaluation(metrics=[auc()]), group(), [], NO_CHAMPION, 0)
    assert (without.blessed, without.reasons) == (False, ["the specification has no gates"])


def test_an_undefined_metric_fails_every_gate_on_it() -> None:
    undefined = group(math.nan, low=None, high=None, champion=0.8)
    for gate in (at_least("auc", 0.0), at_most("auc", 1.0), no_worse_than_champion("auc", margin=1)):
        assert not verdict(gate, undefined, champion=LIVE).blessed


def test_every_large_slice_must_pass_and_one_must_be_there() -> None:
    gate = at_least("auc", 0.7, slices=by("city"))
    good, bad = group(0.8, key=(("city", "Bonn"),)), group(0.6, key=(("city", "Köln"),))
    other = group(0.1, key=(("hour", "3"),))
    assert verdict(gate, group(), [good, other]).blessed
    failed = verdict(gate, group(), [good, bad])
    assert failed.reasons == ["auc ≥ 0.7 in every slice of city: city = Köln: auc is 0.6 (0.75 to 0.85)"]
    assert verdict(gate, group(), [other]).reasons == [
        "auc ≥ 0.7 in every slice of city: no slice of city has 50 rows"
    ]


def test_only_named_values_are_gated_and_all_of_them_must_be_there() -> None:
    gate = at_least("auc", 0.7, slices=by("city", only=["Bonn"]))
    bonn, bad = group(0.8, key=(("city", "Bonn"),)), group(0.6, key=(("city", "Köln"),))
    assert verdict(gate, group(), [bonn, bad]).blessed
    assert verdict(gate, group(), [bad]).reasons[0].endswith("city = Bonn has fewer than 50 rows")


def test_buckets_and_plain_values_of_a_column_are_different_slices() -> None:
    plain, bucket = group(0.6, key=(("h", "3"),)), group(0.8, key=(("h [5]", "below 5"),))
    assert verdict(at_least("auc", 0.7, slices=by("h", edges=(5,))), group(), [plain, bucket]).blessed
    assert not verdict(at_least("auc", 0.7, slices=by("h")), group(), [plain, bucket]).blessed


def test_the_first_model_passes_unless_told_otherwise() -> None:
    first = verdict(no_worse_than_champion("auc"), group())
    assert (first.blessed, first.reasons) == (True, ["no champion yet: this is the first model"])
    assert not verdict(no_worse_than_champion("auc", first_model=False), group()).blessed


def test_a_champion_that_cannot_be_evaluated_fails_the_change_gate() -> None:
    broken = Champion(True, "version 3", 'there is no column "fare"')
    failed = verdict(no_worse_than_champion("auc"), group(), champion=broken)
    assert failed.reasons[0].endswith('the champion cannot be evaluated: there is no column "fare"')
    assert not verdict(no_worse_than_champion("auc"), group(champion=None), champion=LIVE).blessed


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "margin", "passes"),
    [
        ("auc", 0.80, 0.80, 0.0, True),
        ("auc", 0.79, 0.80, 0.005, False),
        ("auc", 0.796, 0.80, 0.005, True),
        ("log_loss", 0.52, 0.50, 0.01, False),
        ("log_loss", 0.50, 0.52, 0.0, True),
        ("bias", -0.3, 0.2, 0.05, False),
        ("bias", -0.1, 0.2, 0.0, True),
    ],
)
def test_a_change_gate_knows_which_way_is_better(
    metric: str, ours: float, theirs: float, margin: float, passes: bool
) -> None:
    figures = group(ours, champion=theirs, metric=metric)
    found = verdict(no_worse_than_champion(metric, margin=margin), figures, champion=LIVE)
    assert found.blessed is passes


def test_a_confident_change_gate_asks_the_bad_end_of_the_difference() -> None:
    gate = no_worse_than_champion("auc", margin=0.01, confident=True)
    close = group(0.8, champion=0.8, difference=Figure(0.0, -0.009, 0.009))
    wide = group(0.8, champion=0.8, difference=Figure(0.0, -0.02, 0.02))
    unknown = group(0.8, champion=0.8, difference=Figure(0.0))
    assert [verdict(gate, g, champion=LIVE).blessed for g in (close, wide, unknown)] == [True, False, False]


def wrong(**changes: object) -> EvaluationSpec:
    return evaluation(**{"metrics": [auc()], **changes})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wrong(gates=[at_least("aux", 0.7)]), "did you mean auc"),
        (lambda: wrong(metrics=[]), "one metric at least"),
        (lambda: wrong(metrics=[auc(), auc()]), "each metric once"),
        (lambda: wrong(replicates=5), "0, or 20 to 2,000"),
        (lambda: wrong(confidence=95), "a probability"),
        (lambda: wrong(minimum_slice_rows=0), "1 or more"),
        (lambda: wrong(replicates=0, gates=[at_least("auc", 0.7, confident=True)]), "20 or more"),
        (lambda: at_least("auc", math.nan), "finite bounds"),
        (lambda: no_worse_than_champion("auc", margin=-1), "0 or more"),
        (lambda: no_worse_than_champion(positive_rate().name), "a better and a worse"),
        (by, "one column at least"),
        (lambda: by("a", "a"), "different columns"),
        (lambda: by("a", "b", edges=(1,)), "none when several"),
        (lambda: by("a", edges=(2, 1)), "ascending"),
    ],
)
def test_a_wrong_specification_is_refused(make: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()  # type: ignore[operator]  # a callable
