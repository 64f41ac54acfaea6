"""What every artifact store and every way to run nodes must do, as routines other tests call."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from orchestration.artifacts import MANIFEST, staging
from orchestration.errors import ArtifactError
from orchestration.graph import Graph
from orchestration.pipeline import Pipeline
from orchestration.records import State
from orchestration.result import RunResult
from orchestration.run import run_pipeline
from orchestration.settings import Settings
from orchestration.store import publish, verify
from tests.pipelines_for_tests.steps import Number


def check_store(root: str, folder: Path) -> None:
    """Put a place for artifacts through publishing, reading, damage and repair.

    Args:
        root: The place: a local folder or a URL that fsspec knows.
        folder: An empty local folder for what is not yet published.
    """
    published = publish(_staged(folder, "first"), root)
    assert published.digest and published.uri.startswith(root)
    assert verify(published) == ""
    assert (published.path / "deep" / "er" / "data.bin").read_bytes() == b"\x00\x01"
    assert json.loads((published.path / MANIFEST).read_text())["digest"] == published.digest
    assert publish(published, root) is published

    again = publish(_staged(folder, "second"), root)
    assert (again.uri, again.digest) == (published.uri, published.digest)
    assert publish(_staged(folder, "other", text="2\n"), root).digest != published.digest
    assert "://" in root or not list(folder.glob("*/*"))  # moved, not copied

    damages: tuple[tuple[str, str, str | None], ...] = (
        ("has changed", "number.txt", "9\n"),
        ("is gone", "number.txt", None),
        ("was not published", "part-9.txt", "more"),
        ("no readable manifest", MANIFEST, None),
    )
    for number, (complaint, name, content) in enumerate(damages):
        if content is None:
            (published.path / name).unlink()
        else:
            (published.path / name).write_text(content)
        assert complaint in verify(published)
        repaired = publish(_staged(folder, f"repair-{number}"), root)
        assert verify(repaired) == verify(published) == ""
    assert verify(Number(f"{root}/Number/nowhere", {}, "nowhere")) != ""


def _staged(folder: Path, name: str, text: str = "1\n") -> Number:
    with staging(folder / name):
        number = Number.new(n=1)
    number.file("number.txt").write_text(text)
    number.file("deep/er/data.bin").write_bytes(b"\x00\x01")
    return number


def check_refusals(root: str, folder: Path) -> None:
    """See that what cannot be stored is refused with a reason."""
    for name, fact in (("object", object()), ("nan", float("nan"))):
        with staging(folder / name):
            number = Number.new(fact=fact)
        with pytest.raises(ArtifactError, match="is not JSON"):
            publish(number, root)


def run_both_ways(pipeline: Pipeline, settings: Settings, **parameters: object) -> list[RunResult]:
    """Run a pipeline in this process and in child processes, and compare all that must be equal."""
    results = []
    for in_process in (True, False):
        home = settings.home / str(in_process)
        own = dataclasses.replace(
            settings, home=home, journal=f"sqlite:///{home / 'j.db'}", artifacts=str(home / "a")
        )
        bound = pipeline.bind(parameters)
        results.append(run_pipeline(pipeline, bound, settings=own, in_process=in_process))
    inside, outside = results
    assert inside.state is outside.state
    assert list(inside.nodes) == list(outside.nodes)
    for name, here in inside.nodes.items():
        there = outside.nodes[name]
        assert (here.state, here.reason, here.error, here.metrics) == (
            there.state, there.reason, there.error, there.metrics
        ), name  # fmt: skip
        if here.state is State.SUCCEEDED:
            assert here.key == there.key, name
            digests = [[(o.name, o.item, o.digest) for o in a.outputs] for a in (here, there)]
            assert digests[0] == digests[1], name
    return results


def graph_of(pipeline: Pipeline, **parameters: object) -> Graph:
    """Return the graph of a pipeline with these parameters."""
    return pipeline.graph(pipeline.bind(parameters))
