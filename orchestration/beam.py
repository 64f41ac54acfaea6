"""The injected ``Beam``: starts data pipelines on the runner the profile names."""

from __future__ import annotations

import pickle
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.artifacts import private_folder
from orchestration.errors import ConfigurationError, HeadraceError

if TYPE_CHECKING:
    import apache_beam

LOCAL_RUNNER = "FnApiRunner"

_ANSWER_SECONDS = 10.0
_REMOTE_FAILURE = re.compile(r"Pipeline \S+ failed in state (?P<state>\w+):? *")


class BeamJobError(HeadraceError):
    """A Beam job ended without giving the result it was started for."""


@dataclass
class Beam:
    """Starts Beam pipelines. A component asks for it with a parameter of this type.

    Attributes:
        options: Beam pipeline options by name, without dashes (``{"runner": "FlinkRunner"}``).
            Without a runner it is the in-memory ``FnApiRunner``.
        scratch: A folder every Beam worker can write to.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    scratch: Path = field(default_factory=lambda: private_folder("beam"))

    @contextmanager
    def pipeline(self) -> Iterator[apache_beam.Pipeline]:
        """Yield a pipeline on the configured runner; leaving the context runs it to its end.

        Raises:
            ConfigurationError: The runner is Dask, which loses data.
            BeamJobError: The job server does not answer, or the job failed there.
        """
        import apache_beam

        options = self.pipeline_options()
        self._require_job_server()
        try:
            with apache_beam.Pipeline(options=options) as pipeline:
                yield pipeline
        except RuntimeError as error:
            if not (failure := _REMOTE_FAILURE.match(str(error))):
                raise
            headline = f"the Beam job failed on {self.options['runner']}"
            # A worker's traceback ends with what went wrong.
            received = f"{failure['state']}: {str(error)[failure.end() :].strip().rpartition(chr(10))[2]}"
            remedy = "read the logs of the job server and of its workers"
            raise BeamJobError(headline, received=received, next=remedy) from error

    def pipeline_options(self) -> Any:
        """Return Beam's ``PipelineOptions`` of this profile."""
        from apache_beam.options.pipeline_options import PipelineOptions

        options = {"runner": LOCAL_RUNNER, **self.options}
        if "dask" in str(options["runner"]).lower():
            headline = f"Beam's {options['runner']} is refused: on Beam 2.77 it silently loses rows"
            wanted = "FnApiRunner, FlinkRunner, PortableRunner, SparkRunner or DataflowRunner"
            remedy = "set [profiles.NAME.beam] runner in headrace.toml"
            raise ConfigurationError(headline, expected=wanted, next=remedy)
        if options["runner"] == LOCAL_RUNNER:
            options.setdefault("direct_running_mode", "in_memory")
        return PipelineOptions.from_dictionary(options)

    def _require_job_server(self) -> None:
        # Beam's client would wait for a missing server for ever.
        host, _, port = str(self.options.get("job_endpoint", "")).rpartition(":")
        if not port.isdigit():
            return
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
        except OSError as error:
            headline, wanted = "Beam's job server does not answer", f"a job server at {host}:{port}"
            remedy = "start it (infra/flink/up), or change job_endpoint in [profiles.NAME.beam]"
            raise BeamJobError(headline, expected=wanted, received=str(error), next=remedy) from error

    def result(self, values: apache_beam.pvalue.PCollection[Any]) -> Result:
        """Keep the single element of ``values`` for the driver, to be read after the pipeline ended."""
        import apache_beam

        path = self.scratch / f"result-{uuid.uuid4().hex}"
        values | f"Result-{path.name[-8:]}" >> apache_beam.Map(_write_result, str(path))
        return Result(path)


@dataclass(frozen=True)
class Result:
    """A value that a Beam pipeline leaves for the driver."""

    path: Path

    def get(self) -> Any:
        """Return the value.

        Raises:
            BeamJobError: The pipeline produced no element.
        """
        if not self.path.exists():
            raise BeamJobError("the Beam pipeline produced no result", expected="one element")
        return pickle.loads(self.path.read_bytes())


def _write_result(value: object, path: str) -> None:
    # A retried bundle writes the same value again: rename keeps the file whole at every moment.
    partial = Path(f"{path}.{uuid.uuid4().hex}")
    partial.write_bytes(pickle.dumps(value))
    partial.rename(path)
