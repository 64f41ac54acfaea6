from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component
def scale(number: Number, factor) -> Number:
    return Number.of(number.metadata["n"] * factor)


@pipeline
def unannotated_parameter():
    scale(start(1), 3)
