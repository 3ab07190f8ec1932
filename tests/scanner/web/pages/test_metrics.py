"""The metrics for Prometheus, and the example dashboard's queries of them."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage.reads.progress import list_hosts
from storage.reads.verdicts import verdict_rows
from storage.writes import results
from workers.broker.app import make_redis
from workers.broker.heartbeat import Heartbeat
from workers.broker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.database.store import Store
    from tests.scanner.web.conftest import Served

DOCS = Path(__file__).parents[4] / "docs"
HOW_TO = DOCS / "how-to" / "web.md"
BOARD: Any = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
# Grafana's grid, which panels are placed on.
GRID_COLUMNS = 24


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return every value by metric and label values, by Prometheus' own parser."""
    return {
        family.name: {
            tuple(value for _, value in sorted(one.labels.items())): one.value
            for one in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


def test_metrics_are_the_stores_figures(site: Served, store: Store) -> None:
    """Images by verdict and errors by kind match the rows."""
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


@pytest.fixture
def fleet(serve: Callable[..., Served], store: Store, clean_redis: str) -> Iterator[Served]:
    """Return the pages of a running scan with known figures: three batches wait."""
    now = time.time()
    (known,) = list_hosts(store)
    results.record_host(store, replace(known, info={"temperature_c": 61.5}))
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = NULL, broker = 'fleet'")
        connection.exec_driver_sql(f"UPDATE batch SET done_at = NULL, published_at = {now - 90}")
        connection.exec_driver_sql(f"UPDATE run SET started_at = {now - 5}, ended_at = {now - 1}")
    namespace = Namespace(make_redis(clean_redis), store.identity)
    namespace.client.lpush(namespace.queue, "one", "two", "three")
    Heartbeat(namespace, "pi4-1", "pi4").send(1, 1, "")
    yield serve(store, broker=clean_redis)
    namespace.client.close()


def test_metrics_know_the_fleet(fleet: Served, store: Store) -> None:
    """Queue depth, the oldest batch's age, each host's rate, temperature and last heartbeat."""
    now = time.time()
    found = samples(fleet.get("/metrics").text)
    images = len(list(verdict_rows(store, 1)))
    (host,) = found["scanner_host_images_per_second"]

    assert {(): 3} == found["scanner_queue_batches"]
    assert 90 <= found["scanner_oldest_batch_age_seconds"]["photos", "1"] < 200
    assert images / 4 == found["scanner_host_images_per_second"][host]
    assert {host: 61.5} == found["scanner_host_temperature_celsius"]
    assert abs(found["scanner_host_last_sign_of_life_timestamp_seconds"][host] - now) < 10
    assert [("pi4", "pi4-1")] == list(found["scanner_worker_last_sign_of_life_timestamp_seconds"])


def test_unknown_values_have_no_metric(site: Served) -> None:
    """Without a broker there is no queue metric; after a scan no temperature."""
    found = samples(site.get("/metrics").text)

    assert {} == found["scanner_queue_batches"]
    assert {} == found["scanner_host_temperature_celsius"]


def test_dashboard_uses_served_metrics(fleet: Served) -> None:
    """Each metric and label of the dashboard is served with a value; it uses all metrics."""
    served = {
        family.name: {label for one in family.samples for label in one.labels}
        for family in text_string_to_metric_families(fleet.get("/metrics").text)
        if family.samples
    }
    asked = set()
    for target in (target for panel in BOARD["panels"] for target in panel["targets"]):
        ((name, selector),) = re.findall(r"(scanner_\w+)(?:\{(.*?)\})?", target["expr"])
        asked.add(name)
        grouped = re.findall(r"by \((\w+)\)", target["expr"])
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))

        assert shown <= set(grouped or served[name]), target
        assert {*re.findall(r"(\w+)=", selector), *grouped} <= served[name], target
    ((name, label),) = (
        re.findall(r"^label_values\((\w+), (\w+)\)$", one["query"]["query"])[0]
        for one in BOARD["templating"]["list"]
        if one["type"] == "query"
    )

    assert served.keys() == asked
    assert label in served[name]


def test_the_docs_name_every_metric(fleet: Served) -> None:
    """The documentation lists each metric with its labels."""
    families = text_string_to_metric_families(fleet.get("/metrics").text)
    served = {one.name: {*one.samples[0].labels} for one in families}
    rows = re.findall(r"^\| `(scanner_\w+)` \|([^|]*)\|", HOW_TO.read_text("utf-8"), re.MULTILINE)

    assert served == {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def test_dashboard_is_valid_for_grafana() -> None:
    """Its panels have numbers and kinds of their own, stand side by side, and name a source."""
    panels = BOARD["panels"]
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    variables = {one["name"] for one in BOARD["templating"]["list"]}

    assert len(panels) == len({panel["id"] for panel in panels})
    assert {"timeseries", "bargauge", "stat"} == {panel["type"] for panel in panels}
    assert len(cells) == len(set(cells))
    assert GRID_COLUMNS == 1 + max(x for x, _ in cells)
    assert {"${datasource}"} == {panel["datasource"]["uid"] for panel in panels}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD))) == variables
