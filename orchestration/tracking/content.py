"""What hangs on a run in MLflow: parameters, metrics, tags, datasets, files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.tracking import values
from orchestration.tracking.connection import Steps, is_final
from orchestration.tracking.values import RefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

Item = dict[str, Any]

_REPORT_FILES = 20
_REPORT_BYTES = 32 * 1024 * 1024


def log(
    client: MlflowClient,
    run_id: str,
    *,
    params: Item | None = None,
    metrics: list[Item] | None = None,
    tags: Item | None = None,
) -> None:
    """Add parameters, metrics and tags to a run, in as few calls as MLflow's limits allow.

    Args:
        client: MLflow's client.
        run_id: MLflow's id of the run.
        params: Values by name.
        metrics: ``name``, ``value``, ``step`` and ``time`` (epoch milliseconds) of each.
        tags: Values by name; None is left out.
    """
    from mlflow.entities import Metric, Param, RunTag

    named = [Param(*pair) for pair in values.parameters(params or {}).items()]
    marked = [RunTag(*pair) for pair in values.tags(tags or {}).items()]
    measured = [
        Metric(values.entity_name(m["name"]), m["value"], int(m["time"]), int(m.get("step", 0)))
        for m in metrics or ()
    ]
    while named or marked or measured:
        _log_batch(
            client,
            run_id,
            params=named[: values.PARAMETERS_PER_CALL],
            tags=marked[: values.TAGS_PER_CALL],
            metrics=measured[: values.METRICS_PER_CALL],
        )
        del named[: values.PARAMETERS_PER_CALL]
        del marked[: values.TAGS_PER_CALL]
        del measured[: values.METRICS_PER_CALL]


def _log_batch(client: MlflowClient, run_id: str, **kinds: list[Any]) -> None:
    """Send all kinds together; if MLflow refuses that, one after the other, so that only one is lost."""
    try:
        client.log_batch(run_id, kinds["metrics"], kinds["params"], kinds["tags"])
    except Exception as error:
        if not is_final(error):
            raise
        steps = Steps()
        for kind, items in kinds.items():
            if items:
                steps(client.log_batch, run_id, **{kind: items})
        steps.end()


def dataset(artifact: Item, name: str) -> Any:
    """Return MLflow's record of a dataset: the artifact's place, digest and facts, under ``name``."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    scheme, mark, _ = artifact["uri"].partition("://")
    profile = json.dumps(artifact.get("metadata") or {}, sort_keys=True, default=str)
    return DatasetInput(
        Dataset(
            name=values.shortened(name, values.DATASET_NAME_LENGTH),
            digest=artifact["digest"][: values.DATASET_DIGEST_LENGTH],
            source_type=scheme if mark else "local",
            source=json.dumps({"uri": artifact["uri"], "digest": artifact["digest"]}),
            profile=profile if len(profile) <= values.DATASET_PROFILE_LENGTH else None,
        ),
        [InputTag("mlflow.data.context", values.shortened(name, values.INPUT_TAG_LENGTH))],
    )


def copy_report(client: MlflowClient, run_id: str, artifact: Item) -> None:
    """Copy a report's pages into a run, so that MLflow shows them."""
    folder = Path(artifact["uri"])
    if "://" in artifact["uri"] or not folder.is_dir():
        return
    pages = [page for page in sorted(folder.rglob("*.html")) if page.stat().st_size <= _REPORT_BYTES]
    for page in pages[:_REPORT_FILES]:
        client.log_artifact(run_id, str(page), _folder(page.parent.relative_to(folder)))


def attach(client: MlflowClient, run_id: str, attachment: Item) -> None:
    """Copy an attached file or folder into a run.

    Raises:
        RefusedError: The file is gone.
    """
    path, name = Path(attachment["path"]), attachment["name"]
    if path.is_dir():
        client.log_artifacts(run_id, str(path), name)
    elif path.exists():
        client.log_artifact(run_id, str(path), _folder(Path(name).parent))
    else:
        raise RefusedError(f"the attachment {name} is gone: {path}")


def _folder(path: Path) -> str | None:
    return None if path == Path() else path.as_posix()


def write(client: MlflowClient, run_id: str, name: str, text: str) -> None:
    """Keep ``text`` as a file of a run, in place of the one that was there."""
    with tempfile.TemporaryDirectory(prefix="headrace-tracking-") as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        client.log_artifact(run_id, str(path))


def read(client: MlflowClient, run_id: str, name: str) -> str | None:
    """Return a text file of a run; None if it is not there."""
    if all(file.path != name for file in client.list_artifacts(run_id)):
        return None
    with tempfile.TemporaryDirectory(prefix="headrace-tracking-") as folder:
        return Path(client.download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")


def search_runs(client: MlflowClient, experiments: list[str], tag: str, value: str) -> Iterator[Any]:
    """Yield all runs that carry a tag with this value."""
    token: str | None = None
    quoted = value.replace("'", "\\'")
    while True:
        page = client.search_runs(
            experiments, f"tags.`{tag}` = '{quoted}'", max_results=1_000, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return
