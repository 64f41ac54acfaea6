from orchestration import for_each, pipeline
from tests.pipelines_for_tests.steps import add, start


@pipeline
def item_outside():
    number = start(1)
    kept = []
    for_each([1, 2], kept.append)
    add(number, kept[0])
