"""Names and texts as MLflow takes them."""

from __future__ import annotations

from hypothesis import given, strategies as st

from orchestration.tracking import values


@given(st.text(max_size=400))
def test_mlflow_takes_every_name(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    clean = values.entity_name(name)
    for check in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        check(clean)
    assert len(clean) <= values.NAME_LENGTH


@given(st.text(max_size=400))
def test_mlflow_takes_every_model_name(name: str) -> None:
    from mlflow.utils.validation import _validate_logged_model_name, _validate_model_name

    clean = values.model_name(name)
    _validate_logged_model_name(clean)
    _validate_model_name(clean)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_names_stay_two(one: str, other: str) -> None:
    assert (values.entity_name(one) == values.entity_name(other)) == (one == other)


@given(st.text(max_size=300), st.integers(40, 200))
def test_a_shortened_text_fits(text: str, limit: int) -> None:
    short = values.shortened(text, limit)
    assert len(short) <= limit
    assert short == text or f"{len(text):,} characters" in short
