"""Metrics for Prometheus, in its text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scanner.report.formats.json import verdicts_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scanner.follow.queue_state import QueueState
    from scanner.web.monitor import LiveStatus

# Scans with metrics: the unfinished ones and the latest; more would be too many series.
MAX_SCANS = 20


def metrics(statuses: Sequence[LiveStatus], queue: QueueState | None) -> bytes:
    """Return the content of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scans(statuses, queue))
    return generate_latest(registry)


class _Scans(Collector):
    def __init__(self, statuses: Sequence[LiveStatus], queue: QueueState | None) -> None:
        self._statuses = statuses
        self._queue = queue

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield every metric, of each scan."""
        yield from self._of_queue()
        yield from self._of_scans()
        yield from self._of_hosts()

    def _of_queue(self) -> Iterable[GaugeMetricFamily]:
        # Absent, not 0, where no broker answers.
        waiting = GaugeMetricFamily("scanner_queue_batches", "Batches waiting in the broker.")
        processes = GaugeMetricFamily(
            "scanner_worker_last_sign_of_life_timestamp_seconds",
            "Time of a worker process's last heartbeat, by its own clock.",
            labels=["host", "worker"],
        )
        if self._queue is not None:
            waiting.add_metric([], self._queue.waiting)
            for worker in self._queue.workers:
                processes.add_metric([worker.host, worker.name], worker.at)
        yield waiting
        yield processes

    def _of_scans(self) -> Iterable[GaugeMetricFamily]:
        of_scan = ["scan", "collection"]
        images = GaugeMetricFamily(
            "scanner_images", "Images of a scan by verdict.", labels=[*of_scan, "verdict"]
        )
        errors = GaugeMetricFamily(
            "scanner_errors",
            "Unreadable images by kind of error.",
            labels=[*of_scan, "kind"],
        )
        oldest = GaugeMetricFamily(
            "scanner_oldest_batch_age_seconds",
            "Age of the oldest unfinished batch.",
            labels=of_scan,
        )
        rate = GaugeMetricFamily(
            "scanner_images_per_second", "Images per second of all hosts.", labels=of_scan
        )
        over = GaugeMetricFamily(
            "scanner_scan_over", "Whether a scan is finished or cancelled.", labels=of_scan
        )
        for status in self._statuses:
            names = [str(status.scan.scan_id), status.scan.collection]
            for verdict, number in verdicts_json(status.counts).items():
                images.add_metric([*names, verdict], number)
            for kind, number in status.activity.errors.items():
                errors.add_metric([*names, kind.value], number)
            oldest.add_metric(names, status.oldest_seconds or 0.0)
            rate.add_metric(names, sum(map(status.rate_of, status.activity.hosts)))
            over.add_metric(names, float(status.is_over))
        yield from (images, errors, oldest, rate, over)

    def _of_hosts(self) -> Iterable[GaugeMetricFamily]:
        labels = ["scan", "host", "host_id"]
        rate = GaugeMetricFamily(
            "scanner_host_images_per_second",
            "Images per second of a host; 0 after a minute without a verdict.",
            labels=labels,
        )
        last = GaugeMetricFamily(
            "scanner_host_last_sign_of_life_timestamp_seconds",
            "Time of a host's last verdict, by its own clock.",
            labels=labels,
        )
        # Absent where the system does not provide it, and after a minute without a verdict.
        temperature = GaugeMetricFamily(
            "scanner_host_temperature_celsius", "Temperature of a busy host.", labels=labels
        )
        for status in self._statuses:
            for host in status.activity.hosts:
                names = [str(status.scan.scan_id), host.label, host.host_id]
                rate.add_metric(names, status.rate_of(host))
                last.add_metric(names, host.last_at)
                if (celsius := status.temperature_of(host)) is not None:
                    temperature.add_metric(names, celsius)
        yield from (rate, last, temperature)
