from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def too_many_arguments():
    add(start(1), 2, 0.5, 4)
