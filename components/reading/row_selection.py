"""Which rows are kept, and which split each goes to; whatever is left out is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from components.reading.row_condition import Condition
from components.reading.span_window import SpanWindow
from components.reading.splits import Splits
from orchestration import DataError, HeadraceError, require

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LeftOut", "RowFilter", "RowSelection", "SpanWindow", "Splits"]


@dataclass
class LeftOut:
    """Rows that were read and are not written, by reason."""

    filtered: int = 0
    sampled_out: int = 0
    without_split: int = 0

    def add(self, other: LeftOut) -> None:
        """Add the rows of another."""
        self.filtered += other.filtered
        self.sampled_out += other.sampled_out
        self.without_split += other.without_split

    @property
    def rows(self) -> int:
        """Rows left out for any reason."""
        return self.filtered + self.sampled_out + self.without_split


@dataclass(frozen=True)
class RowFilter:
    """Which rows are kept.

    Attributes:
        where: A condition that kept rows meet, see :class:`Condition`; None keeps all. ``filtered``
            counts the others.
        sample: Share of the rows to keep, in (0, 1], of those that meet ``where``. A hash of the row
            decides, so that equal rows are kept or left out together, and a larger share keeps all that a
            smaller one keeps. ``sampled_out`` counts the others.
        seed: Another seed keeps other rows, 0 or more.
    """

    where: Condition | None = None
    sample: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.sample <= 1, "sample", "a share of the rows in (0, 1]", self.sample)
        require(self.seed >= 0, "seed", "0 or more", self.seed)

    @classmethod
    def of(cls, where: str | None = None, sample: float = 1.0, seed: int = 0) -> RowFilter:
        """Return the filter of a component's arguments.

        Raises:
            ArgumentError: The condition cannot be understood, or an argument is out of range.
        """
        return cls(Condition(where) if where is not None else None, sample, seed)

    def keep(self, batch: pa.RecordBatch, out: LeftOut) -> pa.RecordBatch:
        """Return the rows to keep, in order, and count the others."""
        if self.where is not None:
            mask = self.where.mask(batch)
            out.filtered += len(mask) - mask.true_count
            if mask.true_count < len(mask):
                batch = batch.filter(mask)
        if self.sample < 1:
            import pyarrow as pa

            from components.data.hashing import hash_rows, rehash, uniform

            # Hashed once more: what decides the split must not decide the sample too.
            chosen = uniform(rehash(hash_rows(batch), self.seed)) < self.sample
            kept = batch.filter(pa.array(chosen))
            out.sampled_out += batch.num_rows - kept.num_rows
            batch = kept
        return batch


@dataclass(frozen=True)
class RowSelection:
    """What all readers are asked in the same words: which spans, which rows, which splits.

    A row is first held against ``where``, then sampled, then dealt to its split.

    Attributes:
        spans: The arguments ``span`` and ``missing_spans``: see :class:`SpanWindow`.
        splits: ``splits``, ``split_by``, ``split_column`` and ``split_time``: see :meth:`Splits.of`.
        rows: ``where``, ``sample`` and ``seed``: see :class:`RowFilter`.
        unknown_split: For a row that belongs to no split, because its value is none of those named or is
            missing: ``"fail"``, or ``"drop"`` to leave it out; ``without_split`` counts such rows.
    """

    spans: SpanWindow = field(default_factory=SpanWindow)
    splits: Splits = field(default_factory=Splits.of)
    rows: RowFilter = field(default_factory=RowFilter)
    unknown_split: Literal["fail", "drop"] = "fail"

    def __post_init__(self) -> None:
        choices = ("fail", "drop")
        require(self.unknown_split in choices, "unknown_split", '"fail" or "drop"', self.unknown_split)

    def check(self, schema: pa.Schema) -> None:
        """Refuse a schema that the condition or the splits do not fit.

        Raises:
            DataError: A column is missing, or of a type that cannot be compared.
        """
        if self.rows.where is not None:
            self.rows.where.check(schema)
        self.splits.check(schema)

    def keep(self, batch: pa.RecordBatch, out: LeftOut, source: str) -> pa.RecordBatch:
        """Return the rows that are written, in order, and count the others.

        Args:
            batch: Rows in the agreed schema.
            out: Counts what is left out.
            source: How an error calls the file.

        Raises:
            DataError: A row belongs to no split, and rows may not be dropped for that.
        """
        try:
            batch = self.rows.keep(batch, out)
        except HeadraceError as error:
            error.received = f"{error.received} (in {source})"
            raise
        return self._known(batch, out, source)

    def _known(self, batch: pa.RecordBatch, out: LeftOut, source: str) -> pa.RecordBatch:
        import pyarrow as pa

        if self.splits.complete:
            return batch
        places = self.splits.assign(batch)
        unknown = places < 0
        if not unknown.any():
            return batch
        if self.unknown_split == "fail":
            expected, received = self.splits.unknown(batch, int(unknown.argmax()))
            raise DataError(
                "a row belongs to no split",
                expected=expected,
                received=f"{received} in {source}",
                next='unknown_split="drop" to leave such rows out, counted; or where=… to filter them',
            )
        out.without_split += int(unknown.sum())
        return batch.filter(pa.array(~unknown))
