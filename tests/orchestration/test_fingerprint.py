"""Cache keys: equal for equal work, different for different work, and the difference can be named."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestration import ArgumentError, Artifact, Files, closure
from orchestration.cli.looking import differences
from orchestration.closure import code_closure, describe
from orchestration.fingerprint import KeyParts, environment, key_of, key_parts
from tests.pipelines_for_tests.steps import Number, add, build, double, read_numbers, total


def digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts(component: Any = add, inputs: Any = None, **configuration: Any) -> KeyParts:
    given: dict[str, list[Artifact]] = inputs or {"number": [Number("/x", {}, "a" * 64)]}
    return key_parts(component, configuration, given, digest_file)


# Keys


def test_equal_work_has_an_equal_key() -> None:
    assert key_of(parts(k=1, seconds=0.5)) == key_of(parts(seconds=0.5, k=1))


def test_where_an_input_lies_does_not_matter_but_its_content_does() -> None:
    here, there = Number("/here", {}, "a" * 64), Number("s3://there", {"x": 1}, "a" * 64)
    other = Number("/here", {}, "b" * 64)
    assert key_of(parts(inputs={"number": [here]})) == key_of(parts(inputs={"number": [there]}))
    assert key_of(parts(inputs={"number": [here]})) != key_of(parts(inputs={"number": [other]}))


def test_the_order_of_a_list_of_inputs_matters() -> None:
    one, two = Number("/1", {}, "1" * 64), Number("/2", {}, "2" * 64)
    forward, backward = ({"numbers": order} for order in ([one, two], [two, one]))
    assert key_of(parts(total, forward)) != key_of(parts(total, backward))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"configuration": {"k": 2}}, ("configuration", "k", 1, 2)),
        ({"inputs": {"number": ["b"]}}, ("inputs", "number", ["a"], ["b"])),
        ({"code": {"m": "new"}}, ("code", "m", "old", "new")),
        ({"environment": {"python": "3.13"}}, ("environment", "python", "3.11", "3.13")),
        ({"code": {"m": "old", "helper": "x"}}, ("code", "helper", None, "x")),
        ({"configuration": {}}, ("configuration", "k", 1, None)),
    ],
)
def test_the_part_that_differs_is_named(change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    old: KeyParts = {
        "component": {"name": "add"}, "code": {"m": "old"}, "configuration": {"k": 1},
        "inputs": {"number": ["a"]}, "environment": {"python": "3.11"},
    }  # fmt: skip
    new = {**old, **change}
    assert differences(old, new) == [expected]
    assert differences(old, old) == []
    assert key_of(old) != key_of(new)


def test_an_external_name_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_text("1")
    (tmp_path / "2.txt").write_text("2")
    before = parts(read_numbers, {}, files=Files(f"{tmp_path}/*.txt"))
    assert before["configuration"]["files"] == Files(str(tmp_path)).content_digest({}, digest_file)
    (tmp_path / "2.txt").write_text("3")
    after = parts(read_numbers, {}, files=Files(f"{tmp_path}/*.txt"))
    assert [change[:2] for change in differences(before, after)] == [("configuration", "files")]
    (tmp_path / ".hidden").write_text("4")
    assert parts(read_numbers, {}, files=Files(f"{tmp_path}/*")) == after


def test_what_a_component_imports_counts_by_version() -> None:
    found = environment(("pyarrow.parquet", "KERAS_BACKEND=jax", "sklearn.linear_model", "no_such_module"))
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found["KERAS_BACKEND"] == "jax"
    assert found["pyarrow"][0].isdigit()
    assert found["sklearn"][0].isdigit()  # the distribution is called scikit-learn
    assert found["no_such_module"] == "unknown"


# Descriptions of configuration


class Colour(Enum):
    RED = "crimson"
    BLUE = "navy blue"


@dataclass(frozen=True)
class Spec:
    name: str
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Twin:
    name: str
    sizes: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), (3, 3), (0.5, 0.5), ("x", "x"), (Files("a"), "a"), (Path("a/b"), "a/b"),
        (Colour.RED, "crimson"),
        ({"b": 1, "a": (2, 3)}, {"a": [2, 3], "b": 1}),
        ({3, 1, 2}, [1, 2, 3]),
        (Spec("x", (1, 2)), {"type": "Spec", "name": "x", "sizes": [1, 2]}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (double, {"function": "tests.pipelines_for_tests.steps:double"}),
        (Spec, {"function": f"{__name__}:Spec"}),
        (len, {"function": "builtins:len"}),
        (functools.partial(double, n=3), {
            "partial": {"function": "tests.pipelines_for_tests.steps:double"},
            "args": [], "keywords": {"n": 3},
        }),
    ],
    ids=repr,
)  # fmt: skip
def test_descriptions(value: object, expected: object) -> None:
    assert describe(value) == expected
    json.dumps(describe(value), allow_nan=False)


@pytest.mark.parametrize(
    "value", [threading.Lock(), sys, object(), {"deep": [threading.Lock()]}, lambda: 1], ids=repr
)
def test_what_has_no_description_is_refused(value: object) -> None:
    with pytest.raises(ArgumentError, match='"it"'):
        describe(value, "it")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from([Colour.RED, Colour.BLUE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.builds(Spec, st.text(max_size=3))
    ),
    max_leaves=6,
)


@given(_VALUES)
def test_a_description_is_stable_and_does_not_depend_on_order(value: Any) -> None:
    text = json.dumps(describe(value))
    assert json.dumps(describe(value)) == text
    if isinstance(value, dict):
        assert json.dumps(describe(dict(reversed(value.items())))) == text


@given(_VALUES, _VALUES)
def test_different_values_have_different_descriptions(one: Any, other: Any) -> None:
    if repr(one) != repr(other) and one != other:
        assert json.dumps(describe(one), sort_keys=True) != json.dumps(describe(other), sort_keys=True)


def test_classes_with_equal_fields_are_told_apart() -> None:
    assert describe(Spec("x")) != describe(Twin("x"))


# Code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of its own on the module search path, with a package and loose modules."""
    for name, text in {
        "fp_model.py": "from fp_lib import layers\nfrom fp_lib.sizes import (\n    SIZE,  # of all\n)\n"
        "import fp_plain as plain, json\n\n\ndef build(n):\n    return layers.width(n) + SIZE\n",
        "fp_plain.py": "import pandas\nX = 1\n",
        "fp_lib/__init__.py": "",
        "fp_lib/layers.py": '"""Layers:\n\nimport nothing but what is needed\n"""\n'
        "from . import activations\nfrom .sizes import SIZE\n\ndef width(n): ...\n",
        "fp_lib/activations.py": "def relu(x):\n    return x\n",
        "fp_lib/sizes.py": "SIZE = 3\n",
        "fp_lib/unused.py": "X = 1\n",
        "fp_local.py": "def build(n):\n    import fp_plain\n    return fp_plain.X\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    closure._spec.cache_clear()
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith("fp_")]:
        del sys.modules[module]
    closure._spec.cache_clear()


def load(name: str) -> Callable[..., Any]:
    return importlib.import_module(name).build  # type: ignore[no-any-return]  # a module of this test


def test_the_closure_follows_project_imports_and_nothing_else(project: Path) -> None:
    found = code_closure(load("fp_model"))
    assert list(found) == ["fp_lib.activations", "fp_lib.layers", "fp_lib.sizes", "fp_model", "fp_plain"]


def test_imports_inside_functions_are_followed(project: Path) -> None:
    assert list(code_closure(load("fp_local"))) == ["fp_local", "fp_plain"]


@pytest.mark.parametrize("module", ["fp_model", "fp_lib/activations", "fp_lib/sizes", "fp_plain"])
def test_a_change_in_an_imported_project_module_changes_the_key(project: Path, module: str) -> None:
    component = build.with_()
    before = key_parts(component, {"builder": load("fp_model")}, {}, digest_file)
    path = project / f"{module}.py"
    path.write_text(path.read_text() + "# changed\n")
    after = key_parts(component, {"builder": load("fp_model")}, {}, digest_file)
    assert [change[:2] for change in differences(before, after)] == [("code", module.replace("/", "."))]


def test_a_change_elsewhere_does_not(project: Path) -> None:
    before = code_closure(load("fp_model"))
    (project / "fp_lib" / "unused.py").write_text("X = 2\n")
    assert code_closure(load("fp_model")) == before


@pytest.mark.parametrize(
    "wrap",
    [lambda f: f, lambda f: [f], lambda f: {"a": (f,)}, lambda f: functools.partial(f, n=1)],
    ids=["plain", "list", "deep", "partial"],
)
def test_functions_inside_a_configuration_bring_their_code(
    project: Path, wrap: Callable[[Any], object]
) -> None:
    assert "fp_lib.layers" in key_parts(build, {"builder": wrap(load("fp_model"))}, {}, digest_file)["code"]


def test_the_runtime_itself_is_no_part_of_the_key_and_components_are() -> None:
    found = code_closure(add)
    assert "tests.pipelines_for_tests.steps" in found
    assert not any(name.startswith("orchestration") for name in found)
    from components import read_csv

    assert "components.read_csv" in code_closure(read_csv)


def test_installed_packages_are_no_project_code() -> None:
    assert code_closure(json.dumps) == {}
    assert code_closure(pytest.raises) == {}


# A notebook: the main module has no file

NOTEBOOK = """
import json, sys, linecache, types
from orchestration.closure import code_closure

def run_cell(text, number=[0]):
    number[0] += 1
    name = f"<ipython-input-{number[0]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), vars(sys.modules["__main__"]))

del sys.modules["__main__"].__file__
run_cell("import fp_plain\\nRATE = 3\\n")
run_cell("class Layer:\\n    BY = 1\\n    def apply(self, n):\\n        return helper(n)\\n")
run_cell("def helper(n):\\n    return n * RATE\\n")
run_cell("def unused():\\n    return 1\\n")
run_cell("def build(n):\\n    def deep():\\n        return Layer().apply(n) + fp_plain.X\\n    return deep()")
states = {"first": code_closure(build)}
run_cell("def unused():\\n    return 2\\n"); states["unused"] = code_closure(build)
run_cell("def helper(n):\\n    return n * RATE + 1\\n"); states["helper"] = code_closure(build)
run_cell("RATE = 4\\n"); states["constant"] = code_closure(build)
run_cell("class Layer:\\n    BY = 2\\n    def apply(self, n):\\n        return helper(n)\\n")
states["attribute"] = code_closure(build)
print(json.dumps(states))
"""


def test_cells_of_a_notebook_count_with_what_they_use(project: Path, tmp_path: Path) -> None:
    script = tmp_path / "session.py"
    script.write_text(NOTEBOOK)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True,
        env={"PYTHONPATH": f"{project}:{root}"},
    )  # fmt: skip
    states: dict[str, dict[str, str]] = json.loads(done.stdout)
    names = {"__main__.build", "__main__.Layer.apply", "__main__.helper", "__main__.RATE", "fp_plain"}
    assert names < set(states["first"])
    assert states["unused"] == states["first"]
    changed = {name for name in names if states["helper"][name] != states["first"][name]}
    assert changed == {"__main__.helper"}
    assert {name for name in names if states["constant"][name] != states["helper"][name]} == {"__main__.RATE"}
    changed = {name for name in states["attribute"] if states["attribute"][name] != states["constant"][name]}
    assert changed == {"__main__.Layer.BY"}
