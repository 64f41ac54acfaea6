"""``evaluate_model``: metrics by slice, the comparison with the live champion, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Evaluation, Examples, Model
from components.evaluation.spec import EvaluationSpec, Task
from components.live_model import LiveModel, opponent
from components.model_format import ModelManifest, load_manifest
from components.serving.models_folder import ModelsFolder, Version, model_digest, models_root
from orchestration import ArgumentError, Beam, RunContext, component

if TYPE_CHECKING:
    from components.evaluation.gates import Champion, Verdict
    from components.evaluation.summary import Group
    from components.evaluation.tally import Tallies


@component(imports=("pyarrow.parquet", "apache_beam"))
def evaluate_model(
    model: Model,
    examples: Examples,
    metrics: EvaluationSpec,
    *,
    split: str = "eval",
    champion: LiveModel = LiveModel(""),  # noqa: B008 - a str, immutable
    beam: Beam,
    run: RunContext,
) -> Evaluation:
    """Measure a model on raw rows and decide whether it may go live.

    Model and champion predict the same rows in one Beam pass, tallied so that neither files nor
    batches nor workers change the result. Gates fail closed: no rows, no slice, an undefined metric
    or a champion that cannot be evaluated all mean "not blessed".

    Args:
        model: The candidate.
        examples: Raw rows with the label's columns.
        metrics: What to measure, the slices and the gates; see :func:`components.evaluation.evaluation`.
        split: The split to evaluate on.
        champion: Name of the live model to compare with; the pipeline's name when empty.
        beam: Starts the pass over the rows.
        run: Receives the metrics and the report.

    Returns:
        Metadata: ``blessed``, ``reasons``, and each overall metric by name (None where undefined).

    Raises:
        ArgumentError: A metric has no meaning for the model's task.
        DataError: A column that the model, the label, a slice or the weight needs is not there.
    """
    from components.evaluation.job import tally_examples
    from components.evaluation.summary import summarise

    manifest = load_manifest(model)
    task = _task(metrics, manifest)
    name = champion or run.pipeline
    rival = opponent(name, model_digest(model))
    plan = _plan(model, name, rival, task, manifest, metrics)
    tallies = tally_examples(beam, examples.files(split), plan)
    overall, slices, small = summarise(tallies, metrics)
    state = _champion(rival, tallies)
    verdict = _judge(metrics, overall, slices, state, tallies)
    facts = {
        "task": task.value,
        "classes": list(manifest.classes),
        "split": split,
        "rows": {"read": tallies.read, "evaluated": overall.rows, "dropped": tallies.dropped},
        "overall": overall.to_json(),
        "slices": [group.to_json() for group in slices],
        "small_slices": small,
        "minimum_slice_rows": metrics.minimum_slice_rows,
        "champion": _champion_json(name, rival, state),
        "gates": [finding.to_json() for finding in verdict.findings],
        "blessed": verdict.blessed,
        "reasons": verdict.reasons,
        "curves": _curves(tallies),
    }
    return _publish(facts, verdict, metrics, run)


def _task(spec: EvaluationSpec, manifest: ModelManifest) -> Task:
    task = Task(manifest.task)
    unfit = [metric.name for metric in spec.metrics if task not in metric.tasks]
    if unfit:
        raise ArgumentError(
            f"a {task.value} model has no {', '.join(unfit)}",
            expected=f"metrics for {task.value} models",
            received=", ".join(metric.name for metric in spec.metrics),
            next=f"remove {unfit[0]} from the evaluation's metrics",
        )
    return task


def _plan(
    model: Model, name: str, rival: Version | None, task: Task, manifest: ModelManifest, spec: EvaluationSpec
) -> Any:
    from components.evaluation.job import CANDIDATE, CHAMPION, Plan

    models: dict[str, Path] = {CANDIDATE: model.path}
    if rival is not None:
        models[CHAMPION] = ModelsFolder(models_root(), name).version_path(rival.version)
    classes = len(manifest.classes) if task is Task.MULTICLASS else 1
    return Plan(models, task, classes, spec)


def _champion(rival: Version | None, tallies: Tallies) -> Champion:
    from components.evaluation.gates import Champion

    if rival is None:
        return Champion(exists=False)
    return Champion(True, f"version {rival.version}", tallies.failures.get("champion", ""))


def _champion_json(name: str, rival: Version | None, state: Champion) -> Mapping[str, Any] | None:
    if rival is None:
        return None
    return {"name": name, "version": rival.version, "digest": rival.digest, "failure": state.failure}


def _judge(
    spec: EvaluationSpec, overall: Group, slices: list[Group], champion: Champion, tallies: Tallies
) -> Verdict:
    from components.evaluation.gates import judge
    from components.evaluation.job import INVALID_PREDICTION

    return judge(spec, overall, slices, champion, tallies.dropped.get(INVALID_PREDICTION, 0))


def _curves(tallies: Tallies) -> dict[str, Any]:
    from components.evaluation.curves import curves
    from components.evaluation.slicing import OVERALL

    if OVERALL not in tallies.slices:
        return {}
    models = tallies.slices[OVERALL].models
    kept = {role: tallied for role, tallied in models.items() if role not in tallies.failures}
    return {role: curves(tallied.exact) for role, tallied in kept.items()}


def _publish(facts: dict[str, Any], verdict: Verdict, spec: EvaluationSpec, run: RunContext) -> Evaluation:
    from components.evaluation.report import render

    values = {name: figure["value"] for name, figure in facts["overall"]["metrics"].items()}
    result = Evaluation.new(blessed=verdict.blessed, reasons=verdict.reasons, **values)
    result.write_json("evaluation.json", facts)
    result.file("report.html").write_text(render(facts, spec), encoding="utf-8")
    run.attach(result.path / "report.html", "evaluation.html")
    for name, value in values.items():
        if value is not None:
            run.log_metric(name, value)
    run.progress(facts["rows"]["evaluated"])
    return result
