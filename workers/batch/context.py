"""What one process needs for its batches, opened once and kept from batch to batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from workers.batch.allocator import keep_freed_memory
from workers.batch.retry import SaidReasons
from workers.batch.sinks import QueueSink, StoreSink
from workers.batch.throughput import Throughput
from workers.broker.app import make_app, make_namespace
from workers.broker.collection_fingerprints import fingerprint_of
from workers.broker.heartbeat import Heartbeat
from workers.broker.missing import MissingSince
from workers.host.identity import HostStatus, this_host
from workers.pipeline.pipeline import make_pipeline
from workers.sources.registry import SourceRegistry

if TYPE_CHECKING:
    from storage.records import Plan
    from workers.batch.sinks import ResultSink
    from workers.batch.stopping import StopFlag
    from workers.pipeline.pipeline import Pipeline
    from workers.settings import WorkerSettings

# Threads of a model: with a process per core, more of them would only wait for each other.
THREADS = 1
# Plans whose models stay loaded: batches of two scans may take turns.
MAX_PIPELINES = 2


def process_name(settings: WorkerSettings, pid: int) -> str:
    """Return the name of a worker's process in its leases, heartbeats and runs."""
    return f"{settings.label}:{pid}"


class WorkerContext:
    """The result sink, broker, image sources and loaded models of one process.

    To be created after the fork: neither connections nor interpreters survive one.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        name: str,
        stop: StopFlag,
        said: SaidReasons | None = None,
    ) -> None:
        keep_freed_memory()
        self.settings = settings
        self.name = name
        self.stop = stop
        self.said = said or SaidReasons()
        self.namespace = make_namespace(settings.broker_url, settings.store_id)
        self.app = make_app(settings.broker_url, settings.store_id, settings.machine_id)
        facts: dict[str, object] = {"processes": settings.concurrency, "threads": THREADS}
        self.host = this_host(settings.state_dir, settings.label, facts)
        status = HostStatus(self.host)
        self.sink: ResultSink
        if settings.store_url is None:
            self.sink = QueueSink(self.app, self.namespace, status, name, settings)
        else:
            self.sink = StoreSink(settings.store_url, status, name)
        self.sources = SourceRegistry(
            settings.roots,
            self.sink.location_of,
            partial(fingerprint_of, self.namespace),
            settings.limits.max_bytes,
        )
        self.heartbeat = Heartbeat(self.namespace, name, self.host.label)
        self.missing = MissingSince(self.namespace, settings.limits.give_up_seconds)
        self.throughput = Throughput()
        # One thread: a chunk is written while the next one is judged, never two at once.
        self.writer = ThreadPoolExecutor(1, "writer")
        self._pipelines: dict[str, Pipeline] = {}

    def pipeline(self, plan: Plan) -> Pipeline:
        """Return the pipeline of a plan. Raises PlanError if this machine's detectors differ."""
        digest = plan.digest()
        pipeline = self._pipelines.pop(digest, None)
        if pipeline is None and len(self._pipelines) == MAX_PIPELINES:
            # The least recently used one: each keeps its own models in memory.
            del self._pipelines[next(iter(self._pipelines))]
        self._pipelines[digest] = pipeline or make_pipeline(plan, self.settings.limits.max_pixels)
        return self._pipelines[digest]

    def close(self) -> None:
        """Close the connections and stop the writer."""
        self.writer.shutdown()
        self.sink.close()
        self.app.close()
        self.namespace.client.close()
