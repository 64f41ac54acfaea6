from orchestration import pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def inside():
    return start(1)


number = inside()


@pipeline
def called_directly():
    add(number)
