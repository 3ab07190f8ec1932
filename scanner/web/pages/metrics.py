"""The store's figures for Prometheus, in its text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scanner.report.formats.json import verdicts_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scanner.follow.queue_state import QueueState
    from scanner.web.watch import Live

# Scans that are told of: those that are not over, and the latest; more would be too many series.
MAX_SCANS = 20


def metrics(lives: Sequence[Live], queue: QueueState | None) -> bytes:
    """The text that `/metrics` answers with."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scans(lives, queue))
    return generate_latest(registry)


class _Scans(Collector):
    def __init__(self, lives: Sequence[Live], queue: QueueState | None) -> None:
        self._lives = lives
        self._queue = queue

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every figure, of each scan."""
        yield from self._of_queue()
        yield from self._of_scans()
        yield from self._of_hosts()

    def _of_queue(self) -> Iterable[GaugeMetricFamily]:
        # Absent, not 0, where no broker answers: nobody knows then.
        waiting = GaugeMetricFamily("scanner_queue_batches", "Batches that wait in the broker.")
        processes = GaugeMetricFamily(
            "scanner_worker_last_sign_of_life_timestamp_seconds",
            "When a worker's process last gave a sign of life, by its own clock.",
            labels=["host", "worker"],
        )
        if self._queue is not None:
            waiting.add_metric([], self._queue.waiting)
            for one in self._queue.workers:
                processes.add_metric([one.host, one.name], one.at)
        yield waiting
        yield processes

    def _of_scans(self) -> Iterable[GaugeMetricFamily]:
        of_scan = ["scan", "collection"]
        images = GaugeMetricFamily(
            "scanner_images", "Images of a scan by verdict.", labels=[*of_scan, "verdict"]
        )
        errors = GaugeMetricFamily(
            "scanner_errors", "Images that could not be read, by kind.", labels=[*of_scan, "kind"]
        )
        oldest = GaugeMetricFamily(
            "scanner_oldest_batch_age_seconds",
            "How long ago the oldest batch that is not done was put on the queue.",
            labels=of_scan,
        )
        rate = GaugeMetricFamily(
            "scanner_images_per_second", "Images judged a second by the hosts.", labels=of_scan
        )
        over = GaugeMetricFamily(
            "scanner_scan_over", "Whether a scan is finished or cancelled.", labels=of_scan
        )
        for live in self._lives:
            names = [str(live.scan.scan_id), live.scan.collection]
            for verdict, number in verdicts_json(live.counts).items():
                images.add_metric([*names, verdict], number)
            for kind, number in live.pulse.errors.items():
                errors.add_metric([*names, kind.value], number)
            oldest.add_metric(names, live.oldest_seconds or 0.0)
            rate.add_metric(names, sum(map(live.rate_of, live.pulse.hosts)))
            over.add_metric(names, float(live.look.is_over))
        yield from (images, errors, oldest, rate, over)

    def _of_hosts(self) -> Iterable[GaugeMetricFamily]:
        labels = ["scan", "host", "host_id"]
        rate = GaugeMetricFamily(
            "scanner_host_images_per_second",
            "Images a second of a host; 0 where it has written nothing for a minute.",
            labels=labels,
        )
        last = GaugeMetricFamily(
            "scanner_host_last_sign_of_life_timestamp_seconds",
            "When a host last wrote a verdict, by its own clock.",
            labels=labels,
        )
        # Absent where its system does not tell it, and where it has written nothing for a minute.
        warmth = GaugeMetricFamily(
            "scanner_host_temperature_celsius", "How warm a host is at work.", labels=labels
        )
        for live in self._lives:
            for host in live.pulse.hosts:
                names = [str(live.scan.scan_id), host.label, host.host_id]
                rate.add_metric(names, live.rate_of(host))
                last.add_metric(names, host.last_at)
                if (celsius := live.temperature_of(host)) is not None:
                    warmth.add_metric(names, celsius)
        yield from (rate, last, warmth)
