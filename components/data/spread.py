"""Work as a Beam collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam_sdk
from apache_beam.pvalue import PCollection


def spread(job: beam_sdk.Pipeline, name: str, items: Sequence[Any]) -> PCollection[Any]:
    """Return pieces of work as a collection whose elements may go to different workers."""
    pieces: PCollection[Any] = job | name >> beam_sdk.Create(items)
    if len(items) > 1:  # a single piece has nobody to share with, and a shuffle costs as much as a small job
        pieces = pieces | f"Spread{name}" >> beam_sdk.Reshuffle()
    return pieces
