"""The text format of TensorFlow Metadata's schema, read without TensorFlow Metadata installed.

The messages below are those of ``tensorflow.metadata.v0.Schema``: name, number and type of each field.
Written out in the text format, a map is a list of entries with a key and a value, which is how it is
declared here.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from orchestration import DataError

_PACKAGE = "tensorflow.metadata.v0"

# "name number type" by comma; a type ending in * is repeated, "@" names the group of which one may be set.
_MESSAGES = {
    "Schema": "feature 1 Feature*, string_domain 4 StringDomain*, default_environment 5 string*, "
    "sparse_feature 6 SparseFeature*, generate_legacy_feature_spec 7 bool, annotation 8 Annotation, "
    "float_domain 9 FloatDomain*, int_domain 10 IntDomain*, dataset_constraints 11 DatasetConstraints, "
    "weighted_feature 12 WeightedFeature*, tensor_representation_group 13 RepresentationGroupEntry*, "
    "represent_variable_length_as_ragged 14 bool",
    "Feature": "name 1 string, deprecated 2 bool, value_count 5 ValueCount @shape, type 6 FeatureType, "
    "domain 7 string @domain, int_domain 9 IntDomain @domain, float_domain 10 FloatDomain @domain, "
    "string_domain 11 StringDomain @domain, bool_domain 13 BoolDomain @domain, "
    "presence 14 FeaturePresence @presence, distribution_constraints 15 DistributionConstraints, "
    "annotation 16 Annotation, group_presence 17 FeaturePresenceWithinGroup @presence, "
    "skew_comparator 18 FeatureComparator, not_in_environment 19 string*, in_environment 20 string*, "
    "drift_comparator 21 FeatureComparator, lifecycle_stage 22 LifecycleStage, shape 23 FixedShape @shape, "
    "natural_language_domain 24 NaturalLanguageDomain @domain, image_domain 25 ImageDomain @domain, "
    "mid_domain 26 MIDDomain @domain, url_domain 27 URLDomain @domain, time_domain 28 TimeDomain @domain, "
    "struct_domain 29 StructDomain @domain, time_of_day_domain 30 TimeOfDayDomain @domain, "
    "unique_constraints 31 UniqueConstraints, value_counts 32 ValueCountList @shape, "
    "validation_derived_source 34 DerivedFeatureSource, sequence_metadata 35 SequenceMetadata, "
    "audio_domain 36 AudioDomain @domain, video_domain 37 VideoDomain @domain, "
    "content_chunk_domain 38 ContentChunkDomain @domain",
    "ValueCount": "min 1 int64, max 2 int64",
    "ValueCountList": "value_count 1 ValueCount*",
    "FixedShape": "dim 2 FixedDim*",
    "FixedDim": "size 1 int64, name 2 string",
    "FeaturePresence": "min_fraction 1 double, min_count 2 int64",
    "FeaturePresenceWithinGroup": "required 1 bool",
    "IntDomain": "name 1 string, min 3 int64, max 4 int64, is_categorical 5 bool",
    "FloatDomain": "name 1 string, min 3 float, max 4 float, disallow_nan 5 bool, disallow_inf 6 bool, "
    "is_embedding 7 bool, is_categorical 8 bool, embedding_dim 9 int64, embedding_type 10 string",
    "StringDomain": "name 1 string, value 2 string*, is_categorical 3 StringDomain.Categorical",
    "BoolDomain": "name 1 string, true_value 2 string, false_value 3 string",
    "StructDomain": "feature 1 Feature*, sparse_feature 2 SparseFeature*",
    "NaturalLanguageDomain": "vocabulary 1 string, coverage 2 FeatureCoverageConstraints, "
    "token_constraints 3 SequenceValueConstraints*, "
    "sequence_length_constraints 5 SequenceLengthConstraints",
    "FeatureCoverageConstraints": "min_coverage 1 float, min_avg_token_length 2 float, "
    "excluded_string_tokens 3 string*, excluded_int_tokens 4 int64*, oov_string_tokens 5 string*",
    "SequenceValueConstraints": "int_value 1 int64 @value, string_value 2 string @value, "
    "min_per_sequence 3 int64, max_per_sequence 4 int64, min_fraction_of_sequences 5 float, "
    "max_fraction_of_sequences 6 float",
    "SequenceLengthConstraints": "excluded_int_value 1 int64*, excluded_string_value 2 string*, "
    "min_sequence_length 3 int64, max_sequence_length 4 int64",
    "ImageDomain": "minimum_supported_image_fraction 1 float, max_image_byte_size 2 int64",
    "AudioDomain": "",
    "VideoDomain": "",
    "ContentChunkDomain": "",
    "MIDDomain": "",
    "URLDomain": "",
    "TimeDomain": "string_format 1 string @format, integer_format 2 TimeDomain.IntegerTimeFormat @format",
    "TimeOfDayDomain": "string_format 1 string @format, "
    "integer_format 2 TimeOfDayDomain.IntegerTimeOfDayFormat @format",
    "DistributionConstraints": "min_domain_mass 1 double",
    "Annotation": "tag 1 string*, comment 2 string*",
    "FeatureComparator": "infinity_norm 1 Threshold, jensen_shannon_divergence 2 Divergence, "
    "normalized_abs_difference 3 Threshold",
    "Threshold": "threshold 1 double",
    "Divergence": "threshold 1 double, source 2 HistogramSelection",
    "HistogramSelection": "type 1 HistogramSelection.Type",
    "UniqueConstraints": "min 1 int64, max 2 int64",
    "DatasetConstraints": "num_examples_drift_comparator 1 NumericValueComparator, "
    "num_examples_version_comparator 2 NumericValueComparator, min_examples_count 3 int64, "
    "max_examples_count 4 int64",
    "NumericValueComparator": "min_fraction_threshold 1 double, max_fraction_threshold 2 double",
    "WeightedFeature": "name 1 string, feature 2 Path, weight_feature 3 Path, "
    "lifecycle_stage 4 LifecycleStage",
    "SparseFeature": "name 1 string, deprecated 2 bool, presence 4 FeaturePresence, "
    "dense_shape 5 FixedShape, index_feature 6 NamedFeature*, lifecycle_stage 7 LifecycleStage, "
    "is_sorted 8 bool, value_feature 9 NamedFeature, type 10 FeatureType",
    "NamedFeature": "name 1 string",
    "Path": "step 1 string*",
    "SequenceMetadata": "sequential_status 3 SequenceMetadata.SequentialStatus, joint_group 4 string, "
    "sequence_truncation_limit 5 int64",
    "DerivedFeatureSource": "deriver_name 1 string, description 2 string, source_path 3 Path*, "
    "declaratively_configured 4 bool",
    "RepresentationGroupEntry": "key 1 string, value 2 TensorRepresentationGroup",
    "TensorRepresentationGroup": "tensor_representation 1 RepresentationEntry*",
    "RepresentationEntry": "key 1 string, value 2 TensorRepresentation",
    "TensorRepresentation": "dense_tensor 1 DenseTensor @kind, varlen_sparse_tensor 2 VarLenTensor @kind, "
    "sparse_tensor 3 SparseTensor @kind, ragged_tensor 4 RaggedTensor @kind",
    "DenseTensor": "column_name 1 string, shape 2 FixedShape, default_value 3 DefaultValue",
    "DefaultValue": "float_value 1 double @kind, int_value 2 int64 @kind, bytes_value 3 bytes @kind, "
    "uint_value 4 uint64 @kind",
    "VarLenTensor": "column_name 1 string",
    "SparseTensor": "dense_shape 1 FixedShape, index_column_names 2 string*, value_column_name 3 string, "
    "already_sorted 4 bool",
    "RaggedTensor": "feature_path 1 Path, row_partition_dtype 2 RaggedTensor.DType, partition 3 Partition*",
    "Partition": "uniform_row_length 1 int64 @kind, row_length 2 string @kind",
}
# An enum's values are known throughout the message that holds it; those used by several stand alone.
_ENUMS = {
    "LifecycleStage": "UNKNOWN_STAGE 0, PLANNED 1, ALPHA 2, BETA 3, PRODUCTION 4, DEPRECATED 5, "
    "DEBUG_ONLY 6, DISABLED 7, VALIDATION_DERIVED 9",
    "FeatureType": "TYPE_UNKNOWN 0, BYTES 1, INT 2, FLOAT 3, STRUCT 4",
    "StringDomain.Categorical": "CATEGORICAL_UNSPECIFIED 0, CATEGORICAL_YES 1, CATEGORICAL_NO 2",
    "TimeDomain.IntegerTimeFormat": "FORMAT_UNKNOWN 0, UNIX_SECONDS 1, UNIX_MILLISECONDS 2, "
    "UNIX_MICROSECONDS 3, UNIX_NANOSECONDS 4, UNIX_DAYS 5",
    "TimeOfDayDomain.IntegerTimeOfDayFormat": "FORMAT_UNKNOWN 0, PACKED_64_NANOS 1",
    "HistogramSelection.Type": "DEFAULT 0, QUANTILES 1, STANDARD 2",
    "SequenceMetadata.SequentialStatus": "SEQUENTIAL_UNSPECIFIED 0, SEQUENTIAL_YES 1, SEQUENTIAL_NO 2",
    "RaggedTensor.DType": "UNSPECIFIED 0, INT64 1, INT32 2",
}
_UNKNOWN_FIELD = re.compile(r'Message type "(?P<message>[^"]+)" has no field named "(?P<field>[^"]+)"')
_TOKEN = re.compile(
    r'\s+|#[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[{}<>\[\]:;,]|[^\s{}<>\[\]:;,#"\']+'
)
_CLOSING = {"{": "}", "<": ">", "[": "]"}


def parse_text(path: Path, *, allow_unknown: bool = False) -> tuple[Any, list[str]]:
    """Return the ``Schema`` message of a file in the text format, and the unknown fields in it.

    Args:
        path: The file.
        allow_unknown: Leave unknown fields out and return them as lines, instead of refusing the file.

    Raises:
        DataError: The file is no such text, or holds an unknown field; names line and column.
    """
    from google.protobuf import text_format  # type: ignore[import-untyped]  # it ships no types

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8", received=str(error), at="") from error
    unknown: list[str] = []
    while True:
        message = _schema_class()()
        try:
            text_format.Parse(text, message)
        except text_format.ParseError as error:
            found = _UNKNOWN_FIELD.search(str(error))
            if not (found and allow_unknown):
                raise _refusal(path, text, error, found) from error
            text, what = _without_field(text, error.GetLine(), error.GetColumn())
            owner = found["message"].removeprefix(f"{_PACKAGE}.")
            unknown.append(f"line {error.GetLine()}: {owner} has no known field {what}")
        else:
            return message, unknown


def _refusal(path: Path, text: str, error: Any, unknown: re.Match[str] | None) -> DataError:
    line, column = error.GetLine() or 1, error.GetColumn() or 1
    lines = text.splitlines() or [""]
    reason = str(error).partition(" : ")[2] or str(error)
    source = lines[min(line, len(lines)) - 1].strip()[:100]
    if unknown:
        owner = unknown["message"].removeprefix(f"{_PACKAGE}.")
        return DataError(
            f'{path}:{line}: {owner} has no field "{unknown["field"]}"',
            expected="the fields of a TFX schema (tensorflow.metadata.v0.Schema)",
            received=source,
            at="",
            next="--allow-unknown to import the rest and list what is unknown",
        )
    return DataError(
        f"{path} is no TFX schema at line {line}, column {column}",
        expected="a schema.pbtxt: tensorflow.metadata.v0.Schema in the text format",
        received=f"{source}\n{reason}",
        at="",
    )


def _without_field(text: str, line: int, column: int) -> tuple[str, str]:
    """Return the text with one field blanked out, line breaks kept, and the field on one line."""
    start = sum(len(each) for each in text.splitlines(keepends=True)[: line - 1]) + column - 1
    end = _end_of_field(text, start)
    field = text[start:end]
    return text[:start] + re.sub(r"[^\n]", " ", field) + text[end:], " ".join(field.split())[:100]


def _end_of_field(text: str, start: int) -> int:
    """Return where the field that starts at ``start`` ends: behind its value, brackets closed."""
    opened: list[str] = []
    value = False
    for token in _TOKEN.finditer(text, start + len(re.match(r"[\w.]*", text[start:])[0])):  # type: ignore[index]  # matches always
        part = token[0]
        if part in _CLOSING:
            opened.append(_CLOSING[part])
        elif opened and part == opened[-1]:
            opened.pop()
            if not opened:
                return token.end()
        elif not opened and not (part.isspace() or part == ":" or part.startswith("#")):
            if value and part[0] not in "\"'":  # texts side by side are one value
                return token.start()
            value = True
            if part[0] not in "\"'":
                return token.end()
    return len(text)


@cache
def _schema_class() -> Any:
    """Return the message class, made in a pool of its own: TensorFlow Metadata may be installed beside it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="headrace/tfx_schema.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        _declare(file.message_type.add(name=name), fields)
    owners = {message.name: message for message in file.message_type}
    for name, values in _ENUMS.items():
        owner, _, own = name.rpartition(".")
        enum = (owners[owner] if owner else file).enum_type.add(name=own)
        for value in values.split(", "):
            word, _, number = value.partition(" ")
            enum.value.add(name=word, number=int(number))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Schema"))


def _declare(message: Any, fields: str) -> None:
    groups: list[str] = []
    for declared in filter(None, fields.split(", ")):
        name, number, kind, *group = declared.split(" ")
        repeated = kind.endswith("*")
        field = message.field.add(name=name, number=int(number), label=3 if repeated else 1)
        base = kind.removesuffix("*")
        if base in _MESSAGES or base in _ENUMS:
            field.type = field.TYPE_MESSAGE if base in _MESSAGES else field.TYPE_ENUM
            field.type_name = f".{_PACKAGE}.{base}"
        else:
            field.type = field.Type.Value(f"TYPE_{base.upper()}")
        if group:
            if group[0] not in groups:
                groups.append(group[0])
                message.oneof_decl.add(name=group[0].removeprefix("@") + "_choice")
            field.oneof_index = groups.index(group[0])
