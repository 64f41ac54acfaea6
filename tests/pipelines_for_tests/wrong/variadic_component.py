from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component
def sum_up(*numbers: Number) -> Number:
    return Number.of(sum(number.metadata["n"] for number in numbers))


@pipeline
def variadic_component():
    sum_up(start(1))
