"""Models in MLflow: LoggedModels, one for each content, and versions in the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.artifacts import MANIFEST
from orchestration.tracking.values import PARAMETER_LENGTH, model_name, texts

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from orchestration.records import Output

# Larger models stay where they are and MLflow gets their manifest and their place.
FILES_LIMIT = 64 * 1024 * 1024

_DIGEST = "headrace.digest"


class Models:
    """Models of this project in MLflow; every method may be repeated with the same effect."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._known: dict[tuple[str, str], LoggedModel] = {}

    def find(self, experiment: str, digest: str) -> LoggedModel | None:
        """Return the LoggedModel with this content, if there is one."""
        key = (experiment, digest)
        if key not in self._known:
            found = self._client.search_logged_models([experiment], f"tags.`{_DIGEST}` = '{digest}'")
            self._known.update((key, model) for model in found)
        return self._known.get(key)

    def log(self, experiment: str, run_ids: list[str], name: str, output: Output) -> None:
        """Make a node's output a LoggedModel and link it to runs.

        Args:
            experiment: Id of the experiment.
            run_ids: MLflow's ids of the runs: the node's, then those it belongs to.
            name: What to call the model.
            output: The artifact.
        """
        from mlflow.entities import LoggedModelOutput

        digest = output.digest
        model = self.find(experiment, digest) or self._create(experiment, run_ids[0], name, output)
        if str(model.status) != "READY":  # new, or a process was killed before it had finished it
            self._upload(model.model_id, Path(output.uri))
            self._known[experiment, digest] = self._client.finalize_logged_model(model.model_id, "READY")
        for run_id in run_ids:
            linked = self._client.get_run(run_id).outputs
            if not linked or model.model_id not in [one.model_id for one in linked.model_outputs]:
                self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])

    def push(self, experiment: str, run_id: str, push: dict[str, Any], given: list[Output]) -> None:
        """Register a model version that went live, and move its alias.

        Args:
            experiment: Id of the experiment.
            run_id: MLflow's id of the run the version comes from.
            push: ``name``, ``version``, ``uri`` and ``alias`` (or None).
            given: The models the pushing node was given.
        """
        name = model_name(str(push["name"]))
        tags = texts({"headrace.version": push["version"], "headrace.uri": push["uri"]})
        if not self._client.search_registered_models(f"name='{name}'"):
            self._client.create_registered_model(name)
        found = self._client.search_model_versions(f"name='{name}'")
        version = next((v.version for v in found if tags.items() <= v.tags.items()), None)
        if version is None:
            model = self.find(experiment, given[0].digest) if given else None
            # The LoggedModel's own folder, not "models:/ID": a database store would look the id up in
            # whatever store is the process's default.
            source, model_id = (model.artifact_location, model.model_id) if model else (push["uri"], None)
            version = self._client.create_model_version(
                name, source, run_id, tags, await_creation_for=0, model_id=model_id
            ).version
        if push["alias"]:
            self._client.set_registered_model_alias(name, push["alias"], str(version))

    def _create(self, experiment: str, run_id: str, name: str, output: Output) -> LoggedModel:
        kind, facts = output.type.rpartition(":")[2], output.metadata.items()
        return self._client.create_logged_model(
            experiment,
            name=model_name(name),
            source_run_id=run_id,
            tags=texts({_DIGEST: output.digest, "headrace.uri": output.uri, "headrace.type": kind}),
            params=texts({n: v for n, v in facts if isinstance(v, str | int | float)}, PARAMETER_LENGTH),
            model_type=kind,
        )

    def _upload(self, model_id: str, folder: Path) -> None:
        if not folder.is_dir():  # in a bucket, or gone
            return
        if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= FILES_LIMIT:
            self._client.log_model_artifacts(model_id, str(folder))
        else:
            self._client.log_model_artifact(model_id, str(folder / MANIFEST))
