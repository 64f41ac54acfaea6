"""Tiny components that the orchestration tests wire together in every shape."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from orchestration import Artifact, Files, RunContext, component


class Number(Artifact):
    """One number, in the metadata as ``n`` and in ``number.txt``."""

    @classmethod
    def of(cls, n: int, **facts: object) -> Number:
        """Return a number with its file written."""
        made = cls.new(n=n, **facts)
        made.file("number.txt").write_text(f"{n}\n", encoding="utf-8")
        return made


class Word(Artifact):
    """One word, in the metadata as ``word``."""


class Both(NamedTuple):
    """Two outputs of unlike types."""

    number: Number
    word: Word


class Pair(NamedTuple):
    """Two outputs of the same type."""

    low: Number
    high: Number


@component
def start(n: int = 1, items: tuple[int, ...] = (1, 2, 3)) -> Number:
    """Begin with a number and a list of items."""
    return Number.of(n, items=list(items))


@component
def add(number: Number, k: int = 0, seconds: float = 0.0) -> Number:
    """Add ``k`` after some time."""
    time.sleep(seconds)
    return Number.of(number.metadata["n"] + k)


@component
def total(numbers: list[Number]) -> Number:
    """Sum up."""
    return Number.of(sum(number.metadata["n"] for number in numbers))


@component
def spell(number: Number) -> Word:
    """Turn a number into a word."""
    return Word.new(word=f"number {number.metadata['n']}")


@component
def both(number: Number) -> Both:
    """Give a number and a word."""
    return Both(Number.of(number.metadata["n"]), Word.new(word=str(number.metadata["n"])))


@component
def pair(number: Number) -> Pair:
    """Give two numbers."""
    n = number.metadata["n"]
    return Pair(Number.of(n - 1), Number.of(n + 1))


@component
def join(number: Number, word: Word, extra: Number | None = None) -> Word:
    """Put a number and a word together."""
    more = f" {extra.metadata['n']}" if extra else ""
    return Word.new(word=f"{word.metadata['word']} {number.metadata['n']}{more}")


@component
def read_numbers(files: Files) -> Number:
    """Sum up the numbers of text files."""
    return Number.of(sum(int(path.read_text()) for path in files.paths()))


@component
def build(number: Number, builder: Callable[[int], int]) -> Number:
    """Let a function of the user's work on the number."""
    return Number.of(builder(number.metadata["n"]))


@component
def tell(number: Number, run: RunContext) -> None:
    """Give no output, only a metric."""
    run.log_metric("told", number.metadata["n"])


def double(n: int) -> int:
    """Return twice the number."""
    return 2 * n
