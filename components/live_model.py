"""The live model as an input of a pipeline: its content, not its name, decides what must run again."""

from __future__ import annotations

from collections.abc import Mapping

from components.artifacts import Model
from components.serving.models_folder import ModelsFolder, Version, model_digest, models_root
from orchestration import Artifact, External
from orchestration.external import DigestFile


class LiveModel(External):
    """Names the model that is live under a name in the models folder; ``""`` for the pipeline's own name."""

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return the digest of the model that the candidate among ``inputs`` is compared with.

        It is that of the live model, or of the one before it where the candidate itself is live: so
        an unchanged pipeline that has pushed its model keeps its cache keys. The empty string
        stands for no such model. The pipeline's own name is not known here, so ``""`` takes all
        names together: another pipeline's push then costs a new evaluation, never a wrong one.
        """
        del digest_file  # the pointers hold the digests
        candidates = [model_digest(item) for item in inputs.values() if isinstance(item, Model)]
        candidate = candidates[0] if candidates else ""
        if self:
            found = opponent(self, candidate)
            return found.digest if found else ""
        root = models_root()
        names = sorted(path.parent.name for path in root.glob("*/champion.json"))
        rivals = {name: opponent(name, candidate) for name in names}
        return " ".join(f"{name}:{found.digest}" for name, found in rivals.items() if found)


def opponent(name: str, candidate: str) -> Version | None:
    """Return the live version that a model of digest ``candidate`` is to be compared with, if any.

    Raises:
        ArtifactError: The pointer to the live model cannot be read.
    """
    pointer = ModelsFolder(models_root(), name).pointer()
    if pointer is None:
        return None
    return pointer.previous if pointer.current.digest == candidate else pointer.current
