"""A report has the results of a reviewed random sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scanner.report.figures.build import build
from scanner.report.formats.json import to_json
from scanner.report.text import prevalence
from storage.writes import reviews, samples, scans
from storage.writes.reviews import Answer

if TYPE_CHECKING:
    from storage.database.store import Store
    from storage.writes.scans import Scan


def test_reviewed_sample(scan: Scan, store: Store) -> None:
    """Of three decided images one is AI-generated: the share, its interval, and a sentence."""
    before = build(store, scan)
    assert before.sample is None
    assert to_json(before)["sample"] is None

    with store.write() as connection:
        connection.exec_driver_sql("UPDATE scan SET finished_at = 1.0")
    drawn = samples.draw_sample(store, scan.scan_id, 4, seed=1)
    assert not any("Reviewers" in said for said in prevalence.estimate(build(store, scan)))
    images = [image for image, _ in samples.sample_images(store, drawn)]
    answers = (Answer.AI, Answer.NOT_AI, Answer.NOT_AI, Answer.CANT_TELL)
    for image, answer in zip(images, answers, strict=True):
        reviews.record_answer(store, scan.scan_id, image, answer, "ann")
    report = build(store, scans.find_scan(store, scan.scan_id))
    body = to_json(report)["sample"]

    assert (4, 6, 1, 2, 1, 0) == tuple(
        body[name] for name in ("images", "population", "ai", "not_ai", "cant_tell", "left")
    )
    assert pytest.approx((1 / 3, 0.0615, 0.7923), abs=5e-5) == (
        body["share"],
        body["low"],
        body["high"],
    )
    (said,) = [one for one in prevalence.estimate(report) if "Reviewers" in one]
    assert said == (
        "Reviewers decided 3 of 4 randomly sampled images: 1 is AI-generated. So 6.1 to 79 % of "
        "the 6 readable images are (95 % interval)."
    )
