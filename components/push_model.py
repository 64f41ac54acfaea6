"""``push_model``: a blessed, servable model goes live."""

from __future__ import annotations

from components.artifacts import Evaluation, Model, PushedModel, ServingCheck
from components.serving.models_folder import CHAMPION, ModelsFolder, models_root
from orchestration import RunContext, SkipNode, component


@component
def push_model(
    model: Model,
    evaluation: Evaluation,
    ready: ServingCheck,
    *,
    name: str = "",
    alias: str = CHAMPION,
    override: str = "",
    run: RunContext,
) -> PushedModel:
    """Copy a model to the next version folder and point the alias at it.

    The same model pushed again keeps its version. Killed at any point, the next push puts things
    right.

    Args:
        model: The model.
        evaluation: The verdict about it.
        ready: The evidence that its export can be served.
        name: Name in the models folder and the registry; the pipeline's name when empty.
        alias: What the version is to be known as; servers follow ``"champion"``.
        override: Why the model goes live although it is not blessed or not ready; recorded. Empty
            means that it does not.
        run: Is told of the version, so that the registry follows.

    Raises:
        SkipNode: The model is not blessed or not ready, and there is no override.
        ArtifactError: The model has no serving export.
    """
    objections = _objections(evaluation, ready)
    if objections and not override:
        raise SkipNode("; ".join(objections))
    folder = ModelsFolder(models_root(), name or run.pipeline)
    version = folder.push(model, alias)
    run.push(folder.name, version.version, str(folder.version_path(version.version)), alias)
    pushed = PushedModel.new(name=folder.name, version=version.version, alias=alias)
    overridden = {"override": override, "objections": objections} if objections else {}
    pushed.write_json("pushed.json", {**pushed.metadata, "digest": version.digest, **overridden})
    return pushed


def _objections(evaluation: Evaluation, ready: ServingCheck) -> list[str]:
    found = []
    if evaluation.metadata.get("blessed") is not True:
        found.append(f"not blessed: {_listed(evaluation.metadata.get('reasons'))}")
    if ready.metadata.get("ready") is not True:
        found.append(f"not ready to serve: {_listed(ready.metadata.get('reasons'))}")
    return found


def _listed(reasons: object) -> str:
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) and reasons else "no reason recorded"
