from orchestration import component, pipeline
from tests.pipelines_for_tests.steps import Number, start


@component(imports=("pyarrow.parquet", "no_such_framework.core"))
def train(number: Number) -> Number:
    return number


@pipeline
def missing_extra():
    train(start(1))
