from orchestration import pipeline
from orchestration.graph import after
from tests.pipelines_for_tests.steps import add, start


@pipeline
def cycle():
    first = start(1)
    second = add(first)
    third = add.with_(name="third")(second)
    after(second, third)
