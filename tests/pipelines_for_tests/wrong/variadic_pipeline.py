from orchestration import pipeline
from tests.pipelines_for_tests.steps import start


@pipeline
def variadic_pipeline(**options: int):
    start(options["n"])
