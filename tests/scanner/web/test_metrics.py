"""The metrics: what Prometheus reads, and that the example dashboard asks for what there is."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from storage.queries import verdict_rows
from workers.app import make_redis
from workers.channel import Channel
from workers.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.store import Store
    from tests.scanner.web.conftest import Served

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana-dashboard.json"


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Every value by metric and by the values of its labels, as Prometheus' own parser has it."""
    return {
        family.name: {
            tuple(value for _, value in sorted(one.labels.items())): one.value
            for one in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


def test_metrics_are_the_stores_figures(site: Served, store: Store) -> None:
    """Images by verdict and errors by kind are as the rows themselves say."""
    answer = site.get("/metrics")
    found = samples(answer.text)
    rows = [row.verdict for row in verdict_rows(store, 1) if row.verdict is not None]
    verdicts = Counter(said.outcome.value for said in rows)
    kinds = Counter(said.error.kind.value for said in rows if said.error is not None)

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {("photos", "1", name): number for name, number in verdicts.items()} | {
        ("photos", "1", "pending"): 0
    } == found["scanner_images"]
    assert {("photos", kind, "1"): number for kind, number in kinds.items()} == found[
        "scanner_errors"
    ]
    assert {("photos", "1"): 1} == found["scanner_scan_over"]


def test_metrics_know_the_fleet(
    serve: Callable[..., Served], store: Store, clean_redis: str
) -> None:
    """Queue depth, the oldest batch's age, and each host's rate and last sign of life."""
    now = time.time()
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
        connection.exec_driver_sql(f"UPDATE batch SET done_at = NULL, published_at = {now - 90}")
        connection.exec_driver_sql(f"UPDATE run SET started_at = {now - 5}, ended_at = {now - 1}")
    space = Space(make_redis(clean_redis), store.identity)
    space.client.lpush(space.queue, "one", "two", "three")
    Channel(space, "pi4-1", "pi4").tell(1, 1, "")
    found = samples(serve(store, broker=clean_redis).get("/metrics").text)
    images = len(list(verdict_rows(store, 1)))
    (host,) = found["scanner_host_images_per_second"]

    assert {(): 3} == found["scanner_queue_batches"]
    assert 90 <= found["scanner_oldest_batch_age_seconds"]["photos", "1"] < 200
    assert images / 4 == found["scanner_host_images_per_second"][host]
    assert abs(found["scanner_host_last_sign_of_life_timestamp_seconds"][host] - now) < 2
    assert [("pi4", "pi4-1")] == list(found["scanner_worker_last_sign_of_life_timestamp_seconds"])
    space.client.close()


def test_no_broker_is_no_empty_queue(site: Served) -> None:
    """Where nobody knows how many batches wait, no figure is given."""
    assert {} == samples(site.get("/metrics").text)["scanner_queue_batches"]


def test_the_dashboard_asks_for_what_there_is(site: Served) -> None:
    """Each metric and label in the example dashboard is one that is served, and all are shown."""
    text = site.get("/metrics").text
    board = json.loads(DASHBOARD.read_text("utf-8"))
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    served = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    labels = set(re.findall(r"(\w+)=\"", text)) | {"worker"}
    legends = " ".join(
        target["legendFormat"] for panel in board["panels"] for target in panel["targets"]
    )

    assert served == set(re.findall(r"scanner_\w+", asked))
    assert set(re.findall(r"\{\{(\w+)\}\}", legends)) <= labels
    assert set(re.findall(r"by \((\w+)\)", asked)) <= labels
