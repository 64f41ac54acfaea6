"""The live model of a server: follows the pointer, swaps versions without losing a request."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from pathlib import Path

from components.serving.loaded import LoadedModel, load_version
from components.serving.metrics import Metrics
from components.serving.models_folder import CHAMPION, ModelsFolder
from components.serving.requests import RequestError
from orchestration import ArtifactError

log = logging.getLogger("headrace.serving")

KEPT_VERSIONS = 3


class ModelHost:
    """Holds the live version and the few others that were asked for by number.

    Args:
        folder: Where the versions are.
        metrics: Counts swaps and failures.
        alias: Which pointer to follow.
        interval: Seconds between two looks at the pointer.
    """

    def __init__(
        self, folder: ModelsFolder, metrics: Metrics, *, alias: str = CHAMPION, interval: float = 1.0
    ) -> None:
        self.folder = folder
        self.metrics = metrics
        self.alias = alias
        self.interval = interval
        self.live: LoadedModel | None = None
        self.failure = ""
        self._seen: tuple[int, int] | None = None
        self._others: OrderedDict[int, LoadedModel] = OrderedDict()

    def current(self) -> LoadedModel:
        """Return the live version.

        Raises:
            RequestError: None is live (status 503).
        """
        if self.live is None:
            raise RequestError(self.failure or "no model is live yet", status=503)
        return self.live

    async def version(self, number: int) -> LoadedModel:
        """Return a version by number, loading it when it is not the live one.

        Raises:
            RequestError: There is no such version (status 404).
        """
        if self.live is not None and self.live.version == number:
            return self.live
        if number in self._others:
            self._others.move_to_end(number)
            return self._others[number]
        if number not in self.folder.versions():
            raise RequestError(f"{self.folder.name} has no version {number}", status=404)
        loaded = await asyncio.to_thread(self._load, number)
        self._others[number] = loaded
        while len(self._others) > KEPT_VERSIONS:
            self._others.popitem(last=False)
        return loaded

    def refresh(self) -> None:
        """Load what the pointer names now, if that has changed; a broken version leaves the old one live."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        try:
            pointer = self.folder.pointer(self.alias)
            if pointer is not None and (self.live is None or self.live.version != pointer.current.version):
                self._swap(self._load(pointer.current.version))
            self.failure = ""
        except ArtifactError as error:
            self.failure = error.headline
            self.metrics.failed_loads += 1
            log.error("keeping version %s: %s", self.live.version if self.live else "none", error)
        self._seen = stamp

    async def follow(self) -> None:
        """Look at the pointer for ever."""
        while True:
            await asyncio.sleep(self.interval)
            await asyncio.to_thread(self.refresh)

    def _swap(self, loaded: LoadedModel) -> None:
        if self.live is not None:
            self.metrics.swaps += 1
        self.live = loaded
        self.metrics.version = loaded.version
        log.info("version %d of %s is live", loaded.version, self.folder.name)

    def _load(self, number: int) -> LoadedModel:
        return load_version(self.folder.version_path(number), self.folder.name, number)

    def _stamp(self) -> tuple[int, int] | None:
        # A pointer is replaced, never rewritten: a new one has another inode or time.
        try:
            facts = Path(self.folder.path / f"{self.alias}.json").stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns
