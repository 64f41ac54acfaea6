"""The server's own counters, in Prometheus' text format."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass
class Metrics:
    """Counts since the server started.

    Attributes:
        name: The model's name, a label on every line.
        version: The live version; 0 while there is none.
        requests: Answers by route and status.
        latencies: Answers by route and bucket of seconds, the last bucket open.
        seconds: Sum of seconds by route.
        rows: Rows predicted.
        swaps: Times another version went live.
        failed_loads: Times a version could not be loaded.
        in_flight: Requests being answered.
    """

    name: str
    version: int = 0
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    latencies: dict[str, list[int]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    swaps: int = 0
    failed_loads: int = 0
    in_flight: int = 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests[route, status] += 1
        counts = self.latencies.setdefault(route, [0] * (len(BUCKETS) + 1))
        counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.seconds[route] += seconds  # type: ignore[assignment]  # a Counter of float seconds

    def text(self) -> str:
        """Return all metrics in Prometheus' text format."""
        return "\n".join([*self._requests(), *self._latencies(), *self._others()]) + "\n"

    def _requests(self) -> Iterator[str]:
        yield "# HELP headrace_requests_total Answers by route and status."
        yield "# TYPE headrace_requests_total counter"
        for (route, status), count in sorted(self.requests.items()):
            yield f'headrace_requests_total{{model="{self.name}",route="{route}",status="{status}"}} {count}'

    def _latencies(self) -> Iterator[str]:
        name = "headrace_request_seconds"
        yield f"# HELP {name} Seconds from the whole request read to the answer ready."
        yield f"# TYPE {name} histogram"
        for route, counts in sorted(self.latencies.items()):
            labels = f'model="{self.name}",route="{route}"'
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{name}_sum{{{labels}}} {self.seconds[route]:.6f}"
            yield f"{name}_count{{{labels}}} {total}"

    def _others(self) -> Iterator[str]:
        facts = (
            ("rows_predicted_total", "counter", "Rows predicted.", self.rows),
            ("model_version", "gauge", "The live version, 0 for none.", self.version),
            ("model_swaps_total", "counter", "Times another version went live.", self.swaps),
            ("model_load_failures_total", "counter", "Versions that could not be loaded.", self.failed_loads),
            ("requests_in_flight", "gauge", "Requests being answered.", self.in_flight),
        )
        for name, kind, text, value in facts:
            yield f"# HELP headrace_{name} {text}"
            yield f"# TYPE headrace_{name} {kind}"
            yield f'headrace_{name}{{model="{self.name}"}} {value}'
