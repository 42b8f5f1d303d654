"""What the server counts, and how Prometheus reads it.

Counting is a few dictionary entries for each request; the library is imported when somebody reads, and an embedded
server never does.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from attrs import Factory, define, frozen

from ..errors import ConfigurationError

# Seconds. A status takes milliseconds, an upload minutes.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


@define
class _Durations:
    counts: list[int] = Factory(lambda: [0] * (len(_BUCKETS) + 1))
    total: float = 0.0


@frozen(kw_only=True)
class Gauges:
    """What is so at the moment of reading.

    Attributes:
        jobs: Jobs by status.
        connections: Connections held.
        uploads: Recordings on their way in.
        waiting: Answers held back.
        workers: Worker processes.
        worker_restarts: Workers that were replaced, by reason.
        free_bytes: Space on the disk of the data folder.
    """

    jobs: Mapping[str, int]
    connections: int
    uploads: int
    waiting: int
    workers: int = 0
    worker_restarts: Mapping[str, int] = Factory(dict)
    free_bytes: int


class Metrics:
    """Counts requests by operation; unknown paths are one operation, or anybody could make up thousands."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._received: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._durations: dict[str, _Durations] = {}

    def count(self, operation: str, status: int, *, seconds: float, received: int, sent: int) -> None:
        """Count a request that has been answered, or given up (status 499)."""
        self._requests[operation, str(status)] += 1
        self._received[operation] += received
        self._sent[operation] += sent
        durations = self._durations.setdefault(operation, _Durations())
        durations.counts[bisect.bisect_left(_BUCKETS, seconds)] += 1
        durations.total += seconds

    def render(self, gauges: Gauges) -> bytes:
        """The text that Prometheus reads.

        Raises:
            ConfigurationError: The library for it is not installed.
        """
        try:
            from prometheus_client import CollectorRegistry, generate_latest
            from prometheus_client.core import (
                CounterMetricFamily,
                GaugeMetricFamily,
                HistogramMetricFamily,
                Metric,
            )
            from prometheus_client.registry import Collector
        except ModuleNotFoundError:
            raise ConfigurationError("metrics need prometheus-client: pip install 'symbl_async[server]'") from None

        metrics = self

        class Current(Collector):
            def collect(self) -> Iterator[Metric]:
                requests = CounterMetricFamily("symbl_requests", "Requests answered.", labels=["operation", "status"])
                for labels, number in metrics._requests.items():
                    requests.add_metric(labels, number)
                yield requests
                for name, text, counts in (
                    ("symbl_received_bytes", "Bytes of request bodies.", metrics._received),
                    ("symbl_sent_bytes", "Bytes of answers.", metrics._sent),
                ):
                    family = CounterMetricFamily(name, text, labels=["operation"])
                    for operation, number in counts.items():
                        family.add_metric([operation], number)
                    yield family
                seconds = HistogramMetricFamily(
                    "symbl_request_seconds", "Time from the headers to the answer.", labels=["operation"]
                )
                for operation, durations in metrics._durations.items():
                    bounds = [*map(str, _BUCKETS), "+Inf"]
                    seconds.add_metric(
                        [operation],
                        [*zip(bounds, accumulate(durations.counts), strict=True)],
                        sum_value=durations.total,
                    )
                yield seconds
                jobs = GaugeMetricFamily("symbl_jobs", "Jobs in the database.", labels=["status"])
                for status in ("scheduled", "in_progress", "completed", "failed"):
                    jobs.add_metric([status], gauges.jobs.get(status, 0))
                yield jobs
                replaced = CounterMetricFamily(
                    "symbl_worker_restarts", "Workers that were replaced.", labels=["reason"]
                )
                for reason in ("died", "timeout", "cancelled", "growth"):
                    replaced.add_metric([reason], gauges.worker_restarts.get(reason, 0))
                yield replaced
                for name, text, value in (
                    ("symbl_workers", "Worker processes.", gauges.workers),
                    ("symbl_queue_length", "Jobs that wait.", gauges.jobs.get("scheduled", 0)),
                    ("symbl_connections", "Connections held.", gauges.connections),
                    ("symbl_uploads", "Recordings on their way in.", gauges.uploads),
                    ("symbl_waiting", "Answers held back until a job changes.", gauges.waiting),
                    ("symbl_free_bytes", "Space on the disk of the data folder.", gauges.free_bytes),
                ):
                    yield GaugeMetricFamily(name, text, value=value)

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Current())
        return generate_latest(registry)
