import threading
from typing import Any

from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component
def guarded(number: Number, lock: Any) -> Number:
    with lock:
        return number


@pipeline
def unserialisable():
    guarded(start(1), threading.Lock())
