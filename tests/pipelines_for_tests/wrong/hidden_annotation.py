from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import start

if TYPE_CHECKING:
    from tests.pipelines_for_tests.steps import Number


@component
def hidden(number: Number) -> None:
    print(number)


@pipeline
def hidden_annotation():
    hidden(start(1))
