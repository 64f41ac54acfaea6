from orchestration import for_each, pipeline, value
from tests.pipelines_for_tests.steps import add, spell, start


@pipeline
def each_to_one():
    number = start(1)
    spell(for_each(value(number, "items"), lambda item: add(number, item)))
