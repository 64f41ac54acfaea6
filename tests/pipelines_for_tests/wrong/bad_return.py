from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component
def as_int(number: Number) -> int:
    return int(number.metadata["n"])


@pipeline
def bad_return():
    as_int(start(1))
