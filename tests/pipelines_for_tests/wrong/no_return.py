from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component
def forgetful(number: Number):
    return number


@pipeline
def no_return():
    forgetful(start(1))
