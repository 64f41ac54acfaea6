"""``headrace serve``: answer with the model that is live."""

from __future__ import annotations

from orchestration.errors import ArtifactError, HeadraceError
from orchestration.settings import load, use


def serve(
    name: str | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    alias: str = "champion",
    profile: str | None = None,
) -> int:
    """Serve the live version of a pushed model; a newly pushed one takes over without a pause.

    Args:
        name: The model; may be left out where there is only one.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        alias: The alias to follow.
        profile: Profile of headrace.toml.
    """
    from components.serving.models_folder import models_root
    from components.serving.server import serve as serve_model

    with use(load(profile=profile)):
        chosen = name or _only_model()
        serve_model(
            chosen, host, port, models=models_root(), alias=alias, announce=lambda url: _hint(url, chosen)
        )
    return 0


def _only_model() -> str:
    from components.serving.models_folder import models_root

    root = models_root()
    names = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.exists() else []
    if len(names) == 1:
        return names[0]
    raise _no_choice(names)


def _no_choice(names: list[str]) -> HeadraceError:
    return ArtifactError(
        "name the model to serve" if names else "no model has been pushed yet",
        expected=f"headrace serve {' | '.join(names)}" if names else "a pipeline run that pushes one",
        received="no name",
        at="",
        next=f"headrace serve {names[0]}" if names else "headrace run PIPELINE",
    )


def _hint(url: str, name: str) -> None:
    print(f"{name} at {url}/v1/models/{name}:predict, described at {url}/openapi.json", flush=True)
