"""The prediction server's routes: TensorFlow Serving's REST, Open Inference V2, health, metrics, OpenAPI."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from components.serving.host import ModelHost
from components.serving.loaded import LoadedModel
from components.serving.metrics import Metrics
from components.serving.models_folder import CHAMPION, ModelsFolder
from components.serving.openapi import describe
from components.serving.requests import Array, RequestError

MOST_BYTES = 4 << 20
READ_SECONDS = 30.0
DRAINED = 16  # times the largest body: so much more is read before the connection is simply closed
INLINE_ROWS = 64  # more rows are predicted in a thread, so that they do not hold up everybody else

INLINE_BYTES = 1 << 16

Decode = Callable[[bytes], tuple[dict[str, Array], Any]]
Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The routes' handlers and what they share.

    Attributes:
        host: Holds the live model.
        metrics: Counts answers.
        most_bytes: Largest body accepted.
        draining: Whether the server is about to stop: not ready, but still answering.
    """

    def __init__(self, host: ModelHost, metrics: Metrics, most_bytes: int) -> None:
        self.host = host
        self.metrics = metrics
        self.most_bytes = most_bytes
        self.draining = False

    @property
    def name(self) -> str:
        """The model's name."""
        return self.host.folder.name

    async def predict(self, request: Request) -> Response:
        """Answer TensorFlow Serving's ``:predict``."""
        model = await self._model(request)
        body = await read_body(request, self.most_bytes)
        arrays, columnar = await _decode(model.decoder.predict_body, body)
        answer = await self._answer(model, arrays)
        return _json({"outputs" if columnar else "predictions": answer.tolist()})

    async def infer(self, request: Request) -> Response:
        """Answer Open Inference V2's ``infer``."""
        model = await self._model(request)
        body = await read_body(request, self.most_bytes)
        arrays, identity = await _decode(model.decoder.infer_body, body)
        answer = await self._answer(model, arrays)
        output = {
            "name": model.manifest.outputs[0],
            "datatype": "FP32",
            "shape": list(answer.shape),
            "data": answer.ravel().tolist(),
        }
        facts = {"model_name": model.name, "model_version": str(model.version), "outputs": [output]}
        return _json(facts if identity is None else {**facts, "id": identity})

    async def status(self, request: Request) -> Response:
        """Answer TensorFlow Serving's model status."""
        model = await self._model(request)
        fine = {"error_code": "OK", "error_message": ""}
        state = {"version": str(model.version), "state": "AVAILABLE", "status": fine}
        return _json({"model_version_status": [state]})

    async def signature(self, request: Request) -> Response:
        """Answer TensorFlow Serving's model metadata, with the signature in our own terms."""
        model = await self._model(request)
        facts = model.manifest.to_json()
        spec = {"name": model.name, "version": str(model.version)}
        metadata = {key: facts[key] for key in ("task", "inputs", "outputs", "classes")}
        return _json({"model_spec": spec, "metadata": metadata})

    async def model_metadata(self, request: Request) -> Response:
        """Answer Open Inference V2's model metadata."""
        model = await self._model(request)
        kinds = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
        inputs = [{"name": i.name, "datatype": kinds[i.dtype], "shape": [-1]} for i in model.manifest.inputs]
        width = max(1, len(model.manifest.classes)) if model.manifest.task == "multiclass" else 1
        outputs = [{"name": model.manifest.outputs[0], "datatype": "FP32", "shape": [-1, width]}]
        versions = [str(version) for version in self.host.folder.versions()]
        facts = {"name": model.name, "platform": "onnx_onnxv1", "versions": versions}
        return _json({**facts, "inputs": inputs, "outputs": outputs})

    async def live(self, _request: Request) -> Response:
        """Answer whether the process works."""
        return _json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Answer whether requests should be sent here."""
        ready = self.host.live is not None and not self.draining
        facts: dict[str, Any] = {"ready": ready, "name": self.name}
        if self.host.live is not None:
            facts["version"] = self.host.live.version
        if self.draining or self.host.failure:
            facts["reason"] = "shutting down" if self.draining else self.host.failure
        return _json(facts, 200 if ready else 503)

    async def model_ready(self, request: Request) -> Response:
        """Answer whether one model can be asked, by Open Inference V2."""
        await self._model(request)
        return await self.ready(request)

    async def server_metadata(self, _request: Request) -> Response:
        """Answer Open Inference V2's server metadata."""
        return _json({"name": "headrace", "version": "1", "extensions": []})

    async def prometheus(self, _request: Request) -> Response:
        """Answer the metrics in Prometheus' text format."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, _request: Request) -> Response:
        """Answer the OpenAPI description, with the features' types."""
        return _json(describe(self.host.current()))

    async def _model(self, request: Request) -> LoadedModel:
        name = request.path_params.get("name", self.name)
        if name != self.name:
            raise RequestError(f'there is no model "{name}", only "{self.name}"', status=404)
        version = request.path_params.get("version")
        return self.host.current() if version is None else await self.host.version(version)

    async def _answer(self, model: LoadedModel, arrays: dict[str, Array]) -> Array:
        rows = len(next(iter(arrays.values())))
        if rows <= INLINE_ROWS:
            answer = model.predict(arrays)
        else:
            answer = await asyncio.to_thread(model.predict, arrays)
        self.metrics.rows += rows
        return answer

    def counted(self, route: str, handler: Handler) -> Handler:
        """Return a handler that turns errors into answers and counts every answer under ``route``."""

        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            started = time.perf_counter()
            self.metrics.in_flight += 1
            try:
                response = await handler(request)
            except RequestError as error:
                response = _refusal(error)
            except ClientDisconnect:
                response = Response(status_code=499)  # nobody is there to read it
            finally:
                self.metrics.in_flight -= 1
            self.metrics.answered(route, response.status_code, time.perf_counter() - started)
            if self.draining:
                response.headers["connection"] = "close"
            return response

        return answer


def create_app(
    models: Path,
    name: str,
    *,
    alias: str = CHAMPION,
    most_bytes: int = MOST_BYTES,
    interval: float = 1.0,
) -> Starlette:
    """Return the server of one model name as an ASGI application.

    Args:
        models: The models folder.
        name: The model's name in it.
        alias: The pointer to follow.
        most_bytes: Largest body accepted, in bytes; larger ones are answered with 413.
        interval: Seconds between two looks at the pointer.
    """
    metrics = Metrics(name)
    host = ModelHost(ModelsFolder(models, name), metrics, alias=alias, interval=interval)
    api = Api(host, metrics, most_bytes)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(host.refresh)
        task = asyncio.create_task(host.follow())
        yield
        task.cancel()

    refusals = {404: _not_found, 405: _not_found}
    app = Starlette(routes=_routes(api), lifespan=lifespan, exception_handlers=refusals)
    app.state.api = api
    return app


def _routes(api: Api) -> list[Route]:
    table: tuple[tuple[str, str, Handler], ...] = (
        ("POST", "/v1/models/{name}:predict", api.predict),
        ("POST", "/v1/models/{name}/versions/{version:int}:predict", api.predict),
        ("POST", "/v2/models/{name}/infer", api.infer),
        ("POST", "/v2/models/{name}/versions/{version:int}/infer", api.infer),
        ("GET", "/v1/models/{name}", api.status),
        ("GET", "/v1/models/{name}/versions/{version:int}", api.status),
        ("GET", "/v1/models/{name}/metadata", api.signature),
        ("GET", "/v1/models/{name}/versions/{version:int}/metadata", api.signature),
        ("GET", "/v2", api.server_metadata),
        ("GET", "/v2/health/live", api.live),
        ("GET", "/v2/health/ready", api.ready),
        ("GET", "/v2/models/{name}", api.model_metadata),
        ("GET", "/v2/models/{name}/versions/{version:int}", api.model_metadata),
        ("GET", "/v2/models/{name}/ready", api.model_ready),
        ("GET", "/live", api.live),
        ("GET", "/ready", api.ready),
        ("GET", "/metrics", api.prometheus),
        ("GET", "/openapi.json", api.openapi),
    )
    return [
        Route(path, api.counted(path.replace(":int", ""), handler), methods=[method])
        for method, path, handler in table
    ]


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return a request's body.

    One that is only somewhat too large is read to its end and thrown away: a client that sends before it
    listens would otherwise see a broken connection instead of the answer.

    Raises:
        RequestError: It is too large (status 413), or did not arrive in time (status 408).
    """
    too_large = RequestError(f"the body is larger than {most_bytes} bytes", status=413)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > DRAINED * most_bytes:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > DRAINED * most_bytes:
                    raise too_large
                if size <= most_bytes:
                    parts.append(part)
    except TimeoutError as error:
        raise RequestError("the body did not arrive in time", status=408) from error
    if size > most_bytes:
        raise too_large
    return b"".join(parts)


async def _decode(decode: Decode, body: bytes) -> tuple[dict[str, Array], Any]:
    if len(body) <= INLINE_BYTES:
        return decode(body)
    return await asyncio.to_thread(decode, body)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refusal(error: RequestError) -> Response:
    return _json({"error": str(error), "problems": list(error.problems)}, error.status)


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    said = "not allowed here" if status == 405 else "not found"
    return _json({"error": f"{request.method} {request.url.path}: {said}", "problems": []}, status)
