"""The rules of a schema: its suite, and what its columns' types and nullability imply."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.data.schema import Severity
from orchestration import DataError

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from components.artifacts import Schema


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


def rules_of(schema: Schema) -> list[Rule]:
    """Return the rules of a schema artifact: its suite's, then those its columns imply.

    Raises:
        SuiteError: The suite or the column list is not what it should be.
    """
    written = _written(schema.read_json("suite.json"))
    known = {rule.identity for rule in written}
    implied = _implied(schema.read_json("schema.json"), written)
    return [*written, *(rule for rule in implied if rule.identity not in known)]


def _written(suite: Any) -> list[Rule]:
    entries = suite.get("expectations") if isinstance(suite, dict) else None
    if not isinstance(entries, list):
        raise SuiteError(
            "suite.json is no suite of expectations",
            expected='{"name": ..., "expectations": [{"type": ..., "kwargs": {...}}]}',
            received=repr(suite)[:200],
        )
    return [_rule(number, entry) for number, entry in enumerate(entries, 1)]


def _rule(number: int, entry: Any) -> Rule:
    kind = entry.get("type") if isinstance(entry, dict) else None
    kwargs = entry.get("kwargs", {}) if isinstance(entry, dict) else None
    if not isinstance(kind, str) or not isinstance(kwargs, dict):
        raise SuiteError(
            f"expectation {number} of suite.json is no expectation",
            expected='{"type": "expect_...", "kwargs": {...}}',
            received=repr(entry)[:200],
        )
    meta = entry.get("meta") or {}
    severity = meta.get("severity", Severity.FAIL)
    if severity not in list(Severity):
        raise SuiteError(
            f"expectation {number} of suite.json ({kind}) has an unknown severity",
            expected=" or ".join(Severity),
            received=f"severity={severity!r}",
        )
    notes = entry.get("notes") or meta.get("notes") or ""
    return Rule(kind, kwargs, Severity(severity), notes if isinstance(notes, str) else " ".join(notes))


def _implied(columns: Any, written: list[Rule]) -> Iterable[Rule]:
    entries = columns.get("columns") if isinstance(columns, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) and "name" in e for e in entries):
        raise SuiteError(
            "schema.json lists no columns",
            expected='{"columns": [{"name": ..., "type": ..., "nullable": ...}]}',
            received=repr(columns)[:200],
        )
    covered = {(rule.type, rule.kwargs.get("column")) for rule in written}
    for entry in entries:
        name = entry["name"]
        if "type" in entry:
            yield Rule("expect_column_arrow_type_to_be", {"column": name, "arrow_type": entry["type"]})
        if entry.get("nullable") is False and ("expect_column_values_to_not_be_null", name) not in covered:
            yield Rule("expect_column_values_to_not_be_null", {"column": name})
    if entries and not any(rule.type.startswith("expect_table_columns_to_match") for rule in written):
        known = [entry["name"] for entry in entries]
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

    from components.validation import drift as _registers_own  # noqa: F401 - importing registers ours

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
    try:
        return kind(**rule.kwargs)
    except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
        raise SuiteError(
            f"{rule.type} cannot be used with these arguments",
            expected=_complaints(error),
            received=str(rule),
        ) from error


def _complaints(error: Exception) -> str:
    """Return the first complaint about each argument, one a line."""
    entries = error.errors() if hasattr(error, "errors") else []
    first = {str(entry["loc"][0]): str(entry["msg"]) for entry in reversed(entries)}
    lines = [text if name == "__root__" else f"{name}: {text}" for name, text in sorted(first.items())]
    return "\n".join(lines) or str(error)
