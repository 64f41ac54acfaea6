from tests.pipelines_for_tests.steps import start


def none_here():
    start(1)
