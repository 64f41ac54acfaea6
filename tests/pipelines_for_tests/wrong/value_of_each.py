from orchestration import for_each, pipeline, value
from tests.pipelines_for_tests.steps import add, start


@pipeline
def value_of_each():
    number = start(1)
    each = for_each([1, 2], lambda i: add(number, i))
    add.with_(name="last")(number, value(each, "n"))
