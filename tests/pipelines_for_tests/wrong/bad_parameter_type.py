from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def bad_parameter_type():
    add(start(1), k="three")
