"""A feature specification: which raw columns become which features, and the label."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from components.features.categorical import Categorical, Cross, Vocabulary
from components.features.expressions import Label
from components.features.feature import Analyzer, DenseFeature, Feature, IdFeature, OneHot
from components.features.numeric import Buckets, Identity, Numeric
from components.features.timestamps import Timestamp, TimestampPart
from orchestration import ArgumentError, ArtifactError, DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from components.model_format import Dtype, Input

LABEL_COLUMN = "label"
_KINDS: dict[str, type[Feature]] = {
    kind.kind: kind for kind in (Numeric, Buckets, Identity, Vocabulary, Cross, TimestampPart, OneHot)
}
_UNFINISHED: dict[type, str] = {Categorical: ".vocabulary(top=…)", Timestamp: '.parts("hour", …)'}


@dataclass(frozen=True)
class FeatureSpec:
    """Features and a label, immutable and picklable. Made by :func:`features`.

    Attributes:
        features: In order; names are unique.
        label: What is to be predicted.
    """

    features: tuple[Feature, ...]
    label: Label

    @property
    def columns(self) -> tuple[str, ...]:
        """Raw columns the features read, in order of first use; the label's are not among them."""
        return tuple(dict.fromkeys(name for feature in self.features for name in feature.columns))

    @property
    def dense(self) -> tuple[DenseFeature, ...]:
        """The dense features in order."""
        return tuple(one for one in self.features if isinstance(one, DenseFeature))

    @property
    def ids(self) -> tuple[IdFeature, ...]:
        """The id features in order."""
        return tuple(one for one in self.features if isinstance(one, IdFeature))

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """Facts to collect in the pass over the data, each once, the label's classes included."""
        wanted = [one for feature in self.features for one in feature.analyzers]
        if self.label.kind == "classes" and not self.label.classes:
            wanted.append(Analyzer("tokens", self.label.column))
        return tuple(dict.fromkeys(wanted))

    def to_json(self) -> dict[str, Any]:
        """Return the specification as a JSON value."""
        return {"features": [one.to_json() for one in self.features], "label": self.label.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeatureSpec:
        """Return the specification of a JSON value.

        Raises:
            ArtifactError: It is not one.
        """
        made = tuple(_feature_from_json(one) for one in value["features"])
        return cls(made, Label.from_json(value["label"]))


def features(*parts: Feature | Iterable[Feature], label: Label) -> FeatureSpec:
    """Collect features and a label into a specification.

    Args:
        *parts: Features, and tuples of features as ``timestamp(…).parts(…)`` gives them.
        label: What is to be predicted: ``label("tips").greater_than(10)``.

    Raises:
        ArgumentError: A part is not a feature, two have one name, or a cross names no id feature.
    """
    flat = tuple(_flat(parts))
    if not flat:
        raise ArgumentError(
            "a specification needs at least one feature", expected='numeric("…").z_score(), …'
        )
    if not isinstance(label, Label):
        raise ArgumentError("the label is not one", expected='label("column")', received=f"label={label!r}")
    resolved = tuple(_resolved(one, flat) for one in flat)
    names = [feature.name for feature in resolved]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentError("two features have the same name", expected="each feature once", received=twice)
    if LABEL_COLUMN in names:
        raise ArgumentError(
            f'a feature may not be named "{LABEL_COLUMN}": the transformed label is',
            expected=f'another name, as of numeric("{LABEL_COLUMN}").z_score()',
        )
    return FeatureSpec(resolved, label)


def resolve_inputs(spec: FeatureSpec, schema: pa.Schema) -> tuple[Input, ...]:
    """Return the raw signature: each column's dtype after what the data hold and the features read.

    Raises:
        DataError: A column is missing, or its type does not suit a feature.
    """
    from components.model_format import Input, missing_column

    for name in (*spec.columns, *spec.label.columns):
        if name not in schema.names:
            raise missing_column(name, schema.names)
    inputs = []
    for name in spec.columns:
        readers = [one for one in spec.features if name in one.columns]
        dtype = _common_dtype(name, schema.field(name).type, readers)
        inputs.append(Input(name, dtype, all(one.nullable for one in readers)))
    return tuple(inputs)


def _common_dtype(name: str, kind: pa.DataType, readers: list[Feature]) -> Dtype:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    natural = _natural_dtypes(kind)
    for dtype in natural:
        if all(dtype in one.accepts for one in readers):
            return dtype
    clash = next((one for one in readers if not set(natural) & set(one.accepts)), readers[0])
    raise DataError(
        f'column "{name}" has the wrong type for the feature {clash.name}',
        expected=" or ".join(clash.accepts),
        received=str(kind),
        next=f'use another feature on "{name}", or read it with column_types={{"{name}": …}}',
    )


def _natural_dtypes(kind: pa.DataType) -> tuple[Dtype, ...]:
    import pyarrow as pa

    types = pa.types
    if (types.is_integer(kind) and not types.is_uint64(kind)) or types.is_boolean(kind):
        return ("float32", "int64")
    if types.is_uint64(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return ("float32",)
    if types.is_timestamp(kind) or types.is_date(kind):
        return ("int64",)
    return ("string",) if types.is_string(kind) or types.is_large_string(kind) else ()


def _flat(parts: Iterable[Any]) -> Iterator[Feature]:
    for part in parts:
        if isinstance(part, Feature):
            yield part
        elif isinstance(part, (tuple, list)):
            yield from _flat(part)
        else:
            more = _UNFINISHED.get(type(part))
            raise ArgumentError(
                "a specification takes features",
                expected='numeric("…").z_score(), categorical("…").vocabulary(), …',
                received=repr(part),
                next=f"continue it with {more}" if more else None,
            )


def _resolved(feature: Feature, all_features: tuple[Feature, ...]) -> Feature:
    """Return a feature whose references to other features are full names."""
    if isinstance(feature, OneHot):
        inner = _resolved(feature.of, all_features)
        return OneHot(inner)  # type: ignore[arg-type]  # as resolved as it was: an id feature
    if not isinstance(feature, Cross):
        return feature
    return replace(feature, of=tuple(_id_feature(name, feature, all_features) for name in feature.of))


def _id_feature(name: str, cross: Cross, all_features: tuple[Feature, ...]) -> str:
    plain = [one for one in all_features if isinstance(one, IdFeature) and not isinstance(one, Cross)]
    matches = [one.name for one in plain if one.name == name or one.columns == (name,)]
    if len(matches) == 1:
        return matches[0]
    known = [one.name for one in plain]
    close = difflib.get_close_matches(name, known, n=1)
    count = "more than one" if matches else "no"
    raise ArgumentError(
        f'the cross {cross.name} names "{name}", which is {count} id feature',
        expected=" or ".join(matches or known) or "an id feature of the same specification",
        received=name,
        next=f'did you mean "{close[0]}"?' if close and not matches else None,
    )


def _feature_from_json(value: Mapping[str, Any]) -> Feature:
    facts = dict(value)
    kind = _KINDS.get(str(facts.pop("kind", None)))
    if kind is None:
        raise ArtifactError(
            "a feature has an unknown kind", expected=", ".join(_KINDS), received=str(dict(value))
        )
    if kind is OneHot:
        inner = _feature_from_json(facts["of"])
        return OneHot(inner)  # type: ignore[arg-type]  # written from an id feature
    names = {one.name for one in fields(kind)}
    try:
        return kind(
            **{name: tuple(v) if isinstance(v, list) else v for name, v in facts.items() if name in names}
        )
    except TypeError as error:
        raise ArtifactError(f"a feature cannot be read: {error}", received=str(dict(value))) from error
