"""What a TFX feature says about its values, as expectations; what has no counterpart is listed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from components.schema.schema import Expectation
from orchestration import DataError

BYTES, INT, FLOAT, STRUCT = 1, 2, 3, 4
# The same words as the semantic hints of the statistics, where they have one.
_MEANINGS = {
    "natural_language_domain": "free_text",
    "image_domain": "image",
    "audio_domain": "audio",
    "video_domain": "video",
    "content_chunk_domain": "content_chunk",
    "mid_domain": "knowledge_graph_id",
    "url_domain": "url",
}
_EPOCHS = {1: "epoch_seconds", 2: "epoch_milliseconds", 3: "epoch_microseconds", 4: "epoch_nanoseconds"}
_EPOCH_DAYS = {5: "epoch_days"}
_COMPARATORS = {
    "infinity_norm": ("expect_column_l_infinity_distance_to_be_less_than", "l_infinity"),
    "jensen_shannon_divergence": (
        "expect_column_jensen_shannon_divergence_to_be_less_than",
        "jensen_shannon",
    ),
}


@dataclass(frozen=True)
class Context:
    """What an import knows beside the feature at hand.

    Attributes:
        domains: Named domains of the schema: the message, by name.
        drift_split: The split that drift comparators compare with; None for none.
        skew_split: The split that skew comparators compare with.
        left_out: Lines about what has not been carried over, in the order found.
    """

    domains: dict[str, Any]
    drift_split: str | None = None
    skew_split: str | None = None
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """A feature whose rules are wanted.

    Attributes:
        feature: The message.
        is_list: Whether a row has a list of values.
        context: The import.
    """

    feature: Any
    is_list: bool
    context: Context

    def leave(self, what: str, why: str) -> None:
        """List what is not carried over."""
        self.context.left_out.append(f'feature "{self.feature.name}": {what}: {why}')

    def rule(self, kind: str, **kwargs: Any) -> Expectation:
        """Return an expectation about the feature."""
        return Expectation(f"expect_column_{kind}", {"column": self.feature.name, **kwargs})


Rules = Iterator[Expectation]


def is_required(feature: Any) -> bool:
    """Tell whether rows must have the feature at all."""
    return bool(feature.presence.min_count > 0 or feature.presence.min_fraction > 0)


def presence_rules(subject: Subject) -> Rules:
    """Expect the column, and values in it."""
    presence = subject.feature.presence
    if not is_required(subject.feature):
        return
    yield subject.rule("to_exist")
    if presence.min_fraction >= 1:
        yield subject.rule("values_to_not_be_null")
    elif presence.min_fraction > 0:
        yield subject.rule("values_to_not_be_null", mostly=presence.min_fraction)
    elif presence.min_count > 0:
        kind = "proportion_of_non_null_values_to_be_between"
        yield subject.rule(kind, min_value=0, strict_min=True)
    if presence.min_count > 1:
        subject.leave(f"presence.min_count {presence.min_count}", "rows with a value are counted as a share")


def domain_rules(subject: Subject) -> Rules:
    """Expect values of the feature's domain.

    Raises:
        DataError: A domain is named that the schema does not define.
    """
    name = subject.feature.WhichOneof("domain_choice")
    if name is None:
        return
    domain = getattr(subject.feature, name)
    if name == "domain":
        if domain not in subject.context.domains:
            raise DataError(
                f'feature "{subject.feature.name}" names domain "{domain}", which the schema does not define',
                expected=", ".join(sorted(subject.context.domains)) or "a string_domain of that name",
                received=f'domain: "{domain}"',
                at="",
            )
        domain = subject.context.domains[domain]
    found = _DOMAINS.get(type(domain).DESCRIPTOR.name)
    if found is None:
        _leave_details(subject, name, domain)
    elif subject.is_list:
        subject.leave(name, "the values within lists are not checked")
    else:
        yield from found(subject, domain)


def meaning(feature: Any, context: Context) -> str:
    """Return what a feature's domain says its values mean; empty when nothing."""
    name = feature.WhichOneof("domain_choice")
    if name in _MEANINGS:
        return _MEANINGS[name]
    if name == "time_domain":
        return {**_EPOCHS, **_EPOCH_DAYS}.get(feature.time_domain.integer_format, "")
    if name == "time_of_day_domain":
        return "time_of_day" if feature.time_of_day_domain.integer_format else ""
    domain = context.domains.get(feature.domain) if name == "domain" else getattr(feature, name or "", None)
    # CATEGORICAL_YES of a text's domain is 1, as true is of a number's.
    return "categorical" if getattr(domain, "is_categorical", 0) == 1 else ""


def uniqueness_rules(subject: Subject) -> Rules:
    """Expect a number of distinct values."""
    wanted = subject.feature.unique_constraints
    if subject.feature.HasField("unique_constraints"):
        if subject.is_list:
            subject.leave("unique_constraints", "the values within lists are not checked")
        else:
            yield subject.rule("unique_value_count_to_be_between", **_bounds(wanted))


def comparator_rules(subject: Subject) -> Rules:
    """Expect a distribution near a baseline, where the import was told which."""
    context = subject.context
    splits = {"drift_comparator": context.drift_split, "skew_comparator": context.skew_split}
    for name, split in splits.items():
        if not subject.feature.HasField(name):
            continue
        for one, value in getattr(subject.feature, name).ListFields():
            what = f"{name}.{one.name} {on_line(value)}"
            if one.name not in _COMPARATORS:
                subject.leave(what, "there is no such measure")
                continue
            kind, measure = _COMPARATORS[one.name]
            if split is None:
                limit = f'Limit("{measure}", fail={value.threshold})'
                columns = f"columns={{{subject.feature.name!r}: ({limit},)}}"
                subject.leave(what, f"belongs to validate_examples: DriftRules({columns})")
            else:
                kwargs = {"threshold": value.threshold, "baseline_split": split}
                yield Expectation(kind, {"column": subject.feature.name, **kwargs})


def length_rules(subject: Subject, low: int | None, high: int | None) -> Rules:
    """Expect a number of values in each list."""
    bounds = {"min_value": low, "max_value": high}
    given = {key: value for key, value in bounds.items() if value is not None}
    if subject.is_list and given:
        yield subject.rule("list_lengths_to_be_between", **given)


def shortest(value: float) -> float:
    """Return the shortest decimal number that is the same single-precision float: 0.1, not 0.10000000149."""
    packed = struct.pack("<f", value)
    texts = (f"{value:.{digits}g}" for digits in range(1, 10))
    return next((float(text) for text in texts if struct.pack("<f", float(text)) == packed), value)


def _int_rules(subject: Subject, domain: Any) -> Rules:
    bounds = _bounds(domain)
    if subject.feature.type == BYTES:
        yield subject.rule("values_to_match_regex", regex=r"^[+-]?[0-9]+$")
        if bounds:
            subject.leave(f"int_domain {on_line(domain)}", "the bounds of numbers in texts are not checked")
    elif bounds:
        yield subject.rule("values_to_be_between", **bounds)


def _float_rules(subject: Subject, domain: Any) -> Rules:
    bounds = {key: shortest(value) for key, value in _bounds(domain).items()}
    if subject.feature.type == BYTES:
        yield subject.rule(
            "values_to_match_regex", regex=r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
        )
        if bounds:
            subject.leave(f"float_domain {on_line(domain)}", "the bounds of numbers in texts are not checked")
    elif bounds:
        yield subject.rule("values_to_be_between", **bounds)
    if domain.disallow_inf:
        yield subject.rule("values_to_be_finite")
    if domain.disallow_nan and subject.feature.presence.min_fraction < 1:
        subject.leave("float_domain.disallow_nan", "NaN counts as a missing value here")
    for name in ("is_embedding", "embedding_dim", "embedding_type"):
        if domain.HasField(name):
            subject.leave(f"float_domain.{name}", "has no counterpart")


def _string_rules(subject: Subject, domain: Any) -> Rules:
    if subject.feature.type != BYTES:
        subject.leave("string_domain", "the feature is no text")
    elif domain.value:
        limits = subject.feature.distribution_constraints
        # Where nothing is said, all values must be of the domain.
        share = {"mostly": limits.min_domain_mass} if limits.HasField("min_domain_mass") else {}
        yield subject.rule("values_to_be_in_set", value_set=list(domain.value), **share)


def _bool_rules(subject: Subject, domain: Any) -> Rules:
    values: list[Any] = [0, 1]
    if subject.feature.type == BYTES:
        values = [getattr(domain, name) for name in ("false_value", "true_value") if domain.HasField(name)]
    if values:
        yield subject.rule("values_to_be_in_set", value_set=values)
    else:
        subject.leave("bool_domain", "does not say which texts mean true and false")


def _time_rules(subject: Subject, domain: Any) -> Rules:
    if domain.HasField("string_format"):
        yield subject.rule("values_to_match_strftime_format", strftime_format=domain.string_format)


_DOMAINS: dict[str, Callable[[Subject, Any], Rules]] = {
    "IntDomain": _int_rules,
    "FloatDomain": _float_rules,
    "StringDomain": _string_rules,
    "BoolDomain": _bool_rules,
    "TimeDomain": _time_rules,
    "TimeOfDayDomain": _time_rules,
}


def _leave_details(subject: Subject, name: str, domain: Any) -> None:
    """List what a semantic domain demands: the column carries its meaning alone."""
    if name != "struct_domain":
        for one, value in domain.ListFields():
            subject.leave(f"{name}.{one.name} {on_line(value)}", "only the meaning is carried over")


def _bounds(message: Any) -> dict[str, Any]:
    named = {"min_value": "min", "max_value": "max"}
    return {key: getattr(message, name) for key, name in named.items() if message.HasField(name)}


def on_line(value: Any) -> str:
    """Return a field's value on one line, cut where it is long."""
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
