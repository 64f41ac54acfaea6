from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start, tell


@pipeline
def no_output():
    told = tell(start(1))
    add(told)
