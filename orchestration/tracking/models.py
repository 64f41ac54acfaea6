"""Models in MLflow: LoggedModels, one for each content, and versions in the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.artifacts import MANIFEST, location
from orchestration.tracking.values import model_name, parameters, tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Larger models stay where they are and MLflow gets their manifest and their place.
FILES_LIMIT = 64 * 1024 * 1024

_DIGEST = "headrace.digest"
_PAGE = 1_000


class Models:
    """Models of this project in MLflow; every method may be repeated with the same effect."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._known: dict[tuple[str, str], str] = {}

    def find(self, experiment: str, digest: str) -> str | None:
        """Return the id of the finished LoggedModel with this content, if there is one."""
        key = (experiment, digest)
        if key not in self._known:
            for model in self._search(experiment, digest):
                if str(model.status) == "READY":
                    self._known[key] = model.model_id
        return self._known.get(key)

    def log(self, experiment: str, run_ids: list[str], name: str, output: dict[str, Any]) -> None:
        """Make a node's output a LoggedModel and link it to runs.

        Args:
            experiment: Id of the experiment.
            run_ids: MLflow's ids of the runs: the node's, then those it belongs to.
            name: What to call the model.
            output: The artifact, as an event tells it.
        """
        from mlflow.entities import LoggedModelOutput

        model_id = self.find(experiment, output["digest"]) or self._create(
            experiment, run_ids[0], name, output
        )
        for run_id in run_ids:
            if not self._linked(run_id, model_id):  # linking twice is an error
                self._client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])

    def push(self, experiment: str, run_id: str, push: dict[str, Any], digest: str | None, run: str) -> None:
        """Register a model version that went live, and move its alias.

        Args:
            experiment: Id of the experiment.
            run_id: MLflow's id of the run the version comes from.
            push: ``name``, ``version``, ``uri`` and ``alias`` (or None).
            digest: Content digest of the model artifact, if it is known.
            run: Identifier of the Headrace run.
        """
        name = model_name(str(push["name"]))
        version = self._version(name, push) or self._register(experiment, run_id, name, push, digest, run)
        if push.get("alias"):
            self._client.set_registered_model_alias(name, str(push["alias"]), version)

    def _search(self, experiment: str, digest: str) -> list[Any]:
        return list(
            self._client.search_logged_models(
                [experiment], f"tags.`{_DIGEST}` = '{digest}'", max_results=_PAGE
            )
        )

    def _create(self, experiment: str, run_id: str, name: str, output: dict[str, Any]) -> str:
        digest = output["digest"]
        # A process killed between creating and finishing a model left it PENDING: go on with that one.
        found = self._search(experiment, digest)
        model = (
            found[0]
            if found
            else self._client.create_logged_model(
                experiment,
                name=model_name(name),
                source_run_id=run_id,
                tags=tags({_DIGEST: digest, "headrace.uri": output["uri"], "headrace.type": output["type"]}),
                params=parameters(_scalars(output.get("metadata") or {})),
                model_type=output["type"],
            )
        )
        self._upload(model.model_id, output["uri"])
        self._client.finalize_logged_model(model.model_id, "READY")
        self._known[experiment, digest] = model.model_id
        return str(model.model_id)

    def _upload(self, model_id: str, uri: str) -> None:
        folder = location(uri) if "://" not in uri else None
        if folder is None or not folder.is_dir():
            return
        if _size(folder) <= FILES_LIMIT:
            self._client.log_model_artifacts(model_id, str(folder))
        elif (folder / MANIFEST).exists():
            self._client.log_model_artifact(model_id, str(folder / MANIFEST))

    def _linked(self, run_id: str, model_id: str) -> bool:
        outputs = self._client.get_run(run_id).outputs
        return any(model.model_id == model_id for model in (outputs.model_outputs if outputs else []))

    def _version(self, name: str, push: dict[str, Any]) -> str | None:
        for version in self._client.search_model_versions(f"name='{name}'"):
            same = {"headrace.version": str(push["version"]), "headrace.uri": push["uri"]}
            if same.items() <= version.tags.items():
                return str(version.version)
        return None

    def _register(
        self, experiment: str, run_id: str, name: str, push: dict[str, Any], digest: str | None, run: str
    ) -> str:
        self._ensure_registered(name)
        model_id = self.find(experiment, digest) if digest else None
        # The LoggedModel's own folder, not "models:/ID": a database store would look the id up in
        # whatever store is the process's default.
        source = self._client.get_logged_model(model_id).artifact_location if model_id else push["uri"]
        version = self._client.create_model_version(
            name,
            source,
            run_id=run_id,
            tags=tags(
                {
                    "headrace.version": push["version"],
                    "headrace.uri": push["uri"],
                    "headrace.run": run,
                    _DIGEST: digest,
                }
            ),
            await_creation_for=0,
            model_id=model_id,
        )
        return str(version.version)

    def _ensure_registered(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self._client.create_registered_model(name)


def _scalars(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if isinstance(value, str | int | float | bool)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
