"""`scanner review`: what reviewers answered; draw a random sample."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from scanner.options.output import json_option
from scanner.options.store import open_store, scan_argument, store_option

if TYPE_CHECKING:
    from storage.writes.reviews import ReviewProgress
    from storage.writes.samples import SampleOutcome


@click.command()
@scan_argument
@store_option
@click.option(
    "--sample",
    "size",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Draw N images at random from those of SCAN that could be read.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Seed that draws the same images again.  [default: a random one, which is stored]",
)
@json_option
def command(
    *, scan_id: int | None, store: str, size: int | None, seed: int | None, as_json: bool
) -> None:
    """Show the reviews of SCAN (default: the latest), and the estimate from a random sample.

    People review images in the pages of `scanner serve`; answers never change a verdict. A sample
    is reviewed without showing verdicts. Its share of AI-generated images is an estimate for the
    whole scan that does not depend on the detectors; earlier answers to its images count.

    \b
    Examples:
      scanner review
      scanner review 7 --sample 200
      scanner review --sample 200 --seed 1 --json
    """
    import secrets

    from storage.writes import reviews, samples
    from storage.writes.scans import find_scan

    if seed is not None and size is None:
        raise click.UsageError("--seed requires --sample")
    with open_store(store) as opened:
        scan = find_scan(opened, scan_id).scan_id
        if size is not None:
            chosen = secrets.randbits(31) if seed is None else seed
            samples.draw_sample(opened, scan, size, chosen)
        sample = samples.read_sample(opened, scan)
        progress = reviews.review_progress(opened, scan)
    if as_json:
        click.echo(json.dumps(_json(scan, sample, progress)))
    else:
        _print(scan, sample, progress)


def _json(scan_id: int, sample: SampleOutcome | None, progress: ReviewProgress) -> dict[str, Any]:
    from dataclasses import asdict

    from workers.evaluation.intervals import wilson

    reviewed = [
        {"verdict": outcome.value, "answer": answer.value, "images": number}
        for (outcome, answer), number in progress.answers.items()
    ]
    body: dict[str, Any] = {
        "scan": scan_id,
        "reviewed": reviewed,
        "disagreements": progress.disagreements,
        "sample": None,
    }
    if sample is not None:
        decided = sample.ai + sample.not_ai
        body["sample"] = {
            **asdict(sample),
            "left": sample.unanswered,
            "share": sample.ai / decided if decided else None,
            "interval": wilson(sample.ai, decided) if decided else None,
        }
    return body


def _print(scan_id: int, sample: SampleOutcome | None, progress: ReviewProgress) -> None:
    from scanner.report.text.labels import count

    reviewed = sum(progress.answers.values())
    click.echo(
        f"scan {scan_id}: {count(reviewed, 'image', 'images')} reviewed, "
        f"{count(progress.disagreements, 'disagreement', 'disagreements')}"
    )
    if sample is None:
        click.echo(f"  no sample yet: scanner review {scan_id} --sample 200")
        return
    click.echo(
        f"  sample of {sample.size:,} of {sample.population:,} images (seed {sample.seed}): "
        f"{sample.ai:,} AI, {sample.not_ai:,} not AI, {sample.cant_tell:,} can't tell, "
        f"{sample.unanswered:,} left"
    )
    if sample.contradicting:
        images = count(sample.contradicting, "image", "images")
        click.echo(f"  reviewers contradict each other on {images} (not counted)")
    if sample.uncounted:
        click.echo(
            f"  {count(sample.uncounted, 'answer', 'answers')} not counted yet: images that were "
            "drawn before have none"
        )
    click.echo(f"  {_estimate(sample)}")
    if sample.unanswered:
        click.echo("  review them in: scanner serve, Review, Sample", err=True)


def _estimate(sample: SampleOutcome) -> str:
    from workers.evaluation.intervals import wilson

    decided = sample.ai + sample.not_ai
    if not decided:
        return "no estimate yet"
    low, high = wilson(sample.ai, decided)
    return (
        f"share of AI-generated images: {100 * sample.ai / decided:.1f} %, "
        f"95 % interval {100 * low:.1f} to {100 * high:.1f} % (Wilson)"
    )
