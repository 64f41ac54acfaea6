from orchestration import for_each, pipeline, value, when
from tests.pipelines_for_tests.steps import add, spell, start


@pipeline
def when_inside_each():
    number = start(1)

    def body(item):
        more = add(number, item)
        with when(value(more, "n") > 2):
            return spell(more)

    for_each([1, 2], body)
