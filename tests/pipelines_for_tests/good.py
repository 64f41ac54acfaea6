"""Pipelines that are right, one for each thing the language can say."""

from __future__ import annotations

import datetime
from enum import Enum
from pathlib import Path

from orchestration import Files, for_each, pipeline, value, when
from orchestration.graph import after
from tests.pipelines_for_tests.steps import (
    Number,
    add,
    both,
    build,
    double,
    join,
    pair,
    read_numbers,
    spell,
    start,
    tell,
    total,
)

DATA = Files("data/*.csv")


class Size(Enum):
    """A choice of the person who starts a run."""

    SMALL = "small"
    LARGE = "large"


@pipeline
def chain(n: int = 1, k: int = 2, seconds: float = 0.0):
    """A chain of three and two branches."""
    first = start(n)
    second = add(first, k, seconds)
    third = add.with_(name="third")(second, k, seconds)
    spell(third)
    tell(third)


@pipeline
def outputs(n: int = 1):
    """Several outputs, picked by type, by name and by position."""
    number = start(n)
    two = both(number)
    join(two, two)
    low, high = pair(number)
    join.with_(name="named")(low, two.word, extra=high)
    add(two, 1)


@pipeline
def decided(n: int = 1):
    """Decisions on data: equality, order, a whole branch."""
    number = start(n)
    with when(value(number, "n") > 3):
        big = add.with_(name="big")(number, 100)
        spell.with_(name="spell_big")(big)
    with when(value(number, "n") <= 3):
        add.with_(name="small")(number)
    with when(value(number, "n").equals(3)), when(value(number, "n") >= 3):
        add.with_(name="three")(number, 5)  # other work than "small": the two run at the same time


@pipeline
def repeated(n: int = 1, items: tuple[int, ...] = (1, 2, 3)):
    """A body of two nodes for each item of a list known at run time, and their sum."""
    number = start(n, items)

    def body(item: int) -> Number:
        more = add(number, item)
        return add.with_(name="again")(more, value(more, "n"))

    total(for_each(value(number, "items"), body))


@pipeline
def inner(n: int, k: int = 10):
    """Included in others."""
    return add.with_(name=f"inner_{k}")(start.with_(name=f"start_{k}")(n + k), k)


@pipeline
def outer(n: int = 1):
    """Includes another pipeline twice."""
    join(inner(n), spell(inner(n, k=20)))


@pipeline
def ordered(n: int = 1):
    """Nodes that wait for others without taking their outputs."""
    number = start(n)
    told = tell(number)
    after(add(number), told)


@pipeline
def built(n: int = 3):
    """A function of the user's travels by name."""
    build(start(n), double)


@pipeline
def reads(files: Files):
    """Reads files whose content decides."""
    add(read_numbers(files), 1)


@pipeline
def collected(n: int = 1):
    """Several nodes into one, written as a list."""
    number = start(n)
    total([add.with_(name=f"add_{k}")(number, k) for k in range(3)])


@pipeline
def tuned(
    data: str,
    epochs: int = 5,
    rate: float = 0.1,
    layers: tuple[int, ...] = (8, 4),
    framework: str | None = None,
    fast: bool = False,
    where: Path = Path("models"),
    day: datetime.date = datetime.date(2026, 1, 1),
    size: Size = Size.SMALL,
    files: Files = DATA,
):
    """Every type of run parameter."""
    start(epochs + len(layers) + len(data))


@pipeline(schedule="0 3 * * *", timezone="America/Chicago")
def nightly(day: str = "2026-01-01"):
    """Runs by the clock."""
    start(len(day))
