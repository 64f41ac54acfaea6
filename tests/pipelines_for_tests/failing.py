"""Nodes that fail while they run, each in its own way, side by side in one pipeline."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from orchestration import DataError, RunContext, SkipNode, component, for_each, pipeline, require, value
from tests.pipelines_for_tests.steps import Both, Number, Word, add, both, read_numbers, spell, start


def share_of(part: int, whole: int) -> float:
    return part / whole


@component
def user_exception(number: Number) -> Number:
    return Number.of(int(share_of(number.metadata["n"], 0)))


@component
def long_exception(number: Number) -> Number:
    raise ValueError("\n".join(["columns differ", *(f"column {n} is missing" for n in range(9))]))


@component
def own_error(number: Number) -> Number:
    raise DataError(
        'column "fare" holds text', expected="double", received='"n/a" at line 8141', next="null_values=…"
    )


@component
def out_of_range(number: Number, share: float = 1.5) -> Number:
    require(0 < share < 1, "share", "a share between 0 and 1", share)
    return number


@component
def wrong_type(number: Number) -> Number:
    return Word.new(word="three")  # type: ignore[return-value]  # the mistake that is tested


@component
def nothing_returned(number: Number) -> Number:  # type: ignore[return]  # the mistake that is tested
    print(number)


@component
def one_of_two(number: Number) -> Both:
    return (Number.of(1),)  # type: ignore[return-value]  # the mistake that is tested


@component
def odd_metadata(number: Number) -> Number:
    return Number.new(n=1, when={1, 2})


@component
def foreign_folder(number: Number) -> Number:
    return Number("/etc")


@component
def leaves(number: Number) -> Number:
    sys.exit("wrong licence")


@component
def declines(number: Number) -> Number:
    raise SkipNode("the champion is better")


@component
def killed(number: Number) -> Number:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@component
def segfault(number: Number) -> Number:
    ctypes.string_at(0)
    return number


@component
def exits(number: Number) -> Number:
    print("the licence server said no", flush=True)
    os._exit(7)


@component(timeout=0.3)
def too_slow(number: Number) -> Number:
    time.sleep(60)
    return number


@component
def follows(number: Number, run: RunContext) -> Number:
    run.log_metric("never", 1.0)
    return number


@pipeline
def failing():
    """All that can go wrong in a node and leaves its process alive, and one branch that is fine."""
    number = start(1)
    for faulty in (
        user_exception, long_exception, own_error, out_of_range, wrong_type, nothing_returned,
        odd_metadata, foreign_folder, leaves, declines,
    ):  # fmt: skip
        follows.with_(name=f"after_{faulty.name}")(faulty(number))
    add(one_of_two(number))
    add.with_(name="no_such_value")(number, value(number, "nothing"))
    add.with_(name="value_of_wrong_type")(number, value(both(number).word, "word"))
    for_each(value(number, "n"), lambda item: add.with_(name="not_a_list")(number, item))
    for_each(["no/such/*.txt"], read_numbers)
    spell(number)


@pipeline
def dying():
    """What only a child process survives."""
    number = start(1)
    for faulty in (killed, segfault, exits, too_slow):
        follows.with_(name=f"after_{faulty.name}")(faulty(number))
    spell(number)
