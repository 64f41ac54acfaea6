"""The rules of a schema: its suite, and what its columns' types and nullability imply."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.schema.schema import Severity
from orchestration import DataError

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from components.artifacts import Schema
    from components.schema.schema import DatasetSchema, Expectation as Expectation_


class SuiteError(DataError):
    """A rule of the suite cannot be understood."""


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite.

    Attributes:
        type: Name of the expectation, as ``expect_column_values_to_be_between``.
        kwargs: Its arguments.
        severity: What breaking it means.
        notes: Free text for people.
    """

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity = Severity.FAIL
    notes: str = ""

    @property
    def identity(self) -> str:
        """The rule without severity and notes, as one line of JSON."""
        return json.dumps([self.type, self.kwargs], sort_keys=True, ensure_ascii=False)

    @property
    def columns(self) -> list[str]:
        """Names of the columns the rule is about; none for a rule about the table."""
        if isinstance(self.kwargs.get("condition"), str):
            from components.reading.row_condition import Condition

            return list(Condition(self.kwargs["condition"]).columns)
        names = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        listed = self.kwargs.get("column_list") or []
        return [str(name) for name in (*names, *listed) if name is not None]

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={shortened(value)}" for name, value in sorted(self.kwargs.items()))
        return f"{self.type}({shown})"


def shortened(value: Any, most: int = 120) -> str:
    """Return a value as Python writes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def rules_of(
    schema: Schema, environment: str | None = None, present: Collection[str] | None = None
) -> list[Rule]:
    """Return the rules of a schema artifact: its suite's, then those its columns imply.

    Args:
        schema: The schema.
        environment: Only the rules that hold in this environment; all of them by default.
        present: Columns of the rows: rules about optional columns that are not among them are left out.

    Raises:
        ArgumentError: The schema does not know the environment.
        DataError: The suite or the column list is not what it should be.
    """
    from components.schema.schema import load_schema

    whole = load_schema(schema)
    chosen = whole.for_environment(environment)
    chosen = chosen if present is None else chosen.for_columns(present)
    written = [_written(entry) for entry in chosen.expectations]
    known = {rule.identity for rule in written}
    implied = _implied(chosen, [column.name for column in whole.columns], written)
    return [*written, *(rule for rule in implied if rule.identity not in known)]


def known_columns(schema: Schema, environment: str | None = None) -> list[str]:
    """Return the columns that a schema checks in an environment.

    Raises:
        ArgumentError: The schema does not know the environment.
        DataError: The schema is not what it should be.
    """
    from components.schema.schema import load_schema

    return [
        column.name for column in load_schema(schema).for_environment(environment).columns if column.checked
    ]


def _written(entry: Expectation_) -> Rule:
    notes = entry.extra.get("notes") or entry.extra.get("meta", {}).get("notes") or ""
    text = notes if isinstance(notes, str) else " ".join(str(note) for note in notes)
    return Rule(entry.type, entry.kwargs, entry.severity, text)


def _implied(schema: DatasetSchema, known: list[str], written: list[Rule]) -> Iterable[Rule]:
    covered = {(rule.type, rule.kwargs.get("column")) for rule in written}
    for column in schema.columns:
        if not column.checked:
            continue
        yield Rule("expect_column_arrow_type_to_be", {"column": column.name, "arrow_type": column.type})
        if not column.nullable and ("expect_column_values_to_not_be_null", column.name) not in covered:
            yield Rule("expect_column_values_to_not_be_null", {"column": column.name})
    if known and not any(rule.type.startswith("expect_table_columns_to_match") for rule in written):
        yield Rule("expect_table_columns_to_be_known", {"known_columns": known}, Severity.WARN)


def expectation(rule: Rule) -> Expectation:
    """Return a rule as a Great Expectations object.

    Raises:
        SuiteError: There is no such expectation, or not with these arguments. (Great Expectations itself
            drops such rules without a word when it loads a suite.)
    """
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    from components.validation import (
        drift as _registers,  # noqa: F401 - importing registers ours
        row_expectations as _more,  # noqa: F401 - importing registers ours
    )

    try:
        kind = get_expectation_impl(rule.type)
    except ExpectationNotFoundError as error:
        close = difflib.get_close_matches(rule.type, list_registered_expectation_implementations(), n=1)
        raise SuiteError(
            f"there is no expectation {rule.type}",
            expected="a name from Great Expectations' gallery or Headrace's own",
            received=str(rule),
            next=f"did you mean {close[0]}?" if close else None,
        ) from error
    unknown = sorted(set(rule.kwargs) - set(kind.__fields__))
    if unknown:
        close = difflib.get_close_matches(unknown[0], kind.__fields__, n=1)
        raise SuiteError(
            f'{rule.type} has no argument "{unknown[0]}"',
            received=str(rule),
            next=f"did you mean {close[0]}?" if close else None,
        )
    _refuse_empty_range(rule)
    try:
        return kind(**rule.kwargs)
    except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
        raise SuiteError(
            f"{rule.type} cannot be used with these arguments",
            expected=_complaints(error),
            received=str(rule),
        ) from error


def _refuse_empty_range(rule: Rule) -> None:
    low, high = (rule.kwargs.get(name) for name in ("min_value", "max_value"))
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        raise SuiteError(
            f"{rule.type} can never be kept",
            expected="min_value not above max_value",
            received=str(rule),
        )


def _complaints(error: Exception) -> str:
    """Return the first complaint about each argument, one a line."""
    entries = error.errors() if hasattr(error, "errors") else []
    first = {str(entry["loc"][0]): str(entry["msg"]) for entry in reversed(entries)}
    lines = [text if name == "__root__" else f"{name}: {text}" for name, text in sorted(first.items())]
    return "\n".join(lines) or str(error)
