"""The corrected share, against values computed by hand and mixtures of known prevalence."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.report.figures.estimate import (
    Rates,
    corrected_share,
    lang_reiczigel,
    rogan_gladen,
)
from workers.evaluation.intervals import Interval, Share, wilson

# As on the card of objects-32.
AI, FOUND = 5_000, 4_717
REAL, FALSE_POSITIVES = 5_000, 47
RATES = Rates(Share(FOUND, AI), Share(FALSE_POSITIVES, REAL))


def test_by_hand() -> None:
    """At rates of 0.9 and 0.1, a third of images flagged means that 29 % are AI-generated."""
    rates = Rates(Share(90, 100), Share(10, 100))

    assert rogan_gladen(Share(33, 100), rates) == pytest.approx(0.2875)
    assert rogan_gladen(Share(5, 100), rates) == 0
    assert rogan_gladen(Share(95, 100), rates) == 1


def test_interval_by_hand() -> None:
    """Lang and Reiczigel's equation 16 with 60 of 200 flagged, step by step."""
    rates = Rates(Share(80, 100), Share(5, 100))
    # z^2 = 3.8415: n' = 203.8415, p' = 61.9207 / 203.8415; Se' = 81 / 102, Sp' = 96 / 102.
    apparent, se, sp = 61.92073 / 203.84146, 81 / 102, 96 / 102
    share = (apparent + sp - 1) / (se + sp - 1)
    shift = 2 * 3.8414588 * (share * se * (1 - se) / 102 - (1 - share) * sp * (1 - sp) / 102)
    variance = (
        apparent * (1 - apparent) / 203.84146
        + share**2 * se * (1 - se) / 102
        + (1 - share) ** 2 * sp * (1 - sp) / 102
    )
    half = 1.959964 * variance**0.5 / (se + sp - 1)
    low, high = lang_reiczigel(Share(60, 200), rates)

    assert (low, high) == pytest.approx((share + shift - half, share + shift + half), abs=1e-6)
    assert low < rogan_gladen(Share(60, 200), rates) < high


def test_wilson_by_hand() -> None:
    """The textbook's example: 0 of 10 is compatible with up to 27.8 %."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@pytest.mark.parametrize("percent", [0, 1, 2, 5, 10, 20, 30, 40, 50, 60])
def test_interval_contains_the_prevalence(percent: int) -> None:
    """For mixtures of known prevalence, 95 % of the intervals contain it, with sampled rates.

    The test pictures are split at random: the rates are measured on one half, the mixture of a
    thousand is drawn from the other. 500 such draws lie within 3 points of their rate.
    """
    random = np.random.default_rng(percent)
    held = 0
    for _ in range(500):
        hits = int(random.hypergeometric(FOUND, AI - FOUND, AI // 2))
        alarms = int(random.hypergeometric(FALSE_POSITIVES, REAL - FALSE_POSITIVES, REAL // 2))
        rates = Rates(Share(hits, AI // 2), Share(alarms, REAL // 2))
        made = 10 * percent
        flagged = random.hypergeometric(FOUND - hits, AI // 2 - (FOUND - hits), made)
        flagged += random.hypergeometric(
            FALSE_POSITIVES - alarms, REAL // 2 - (FALSE_POSITIVES - alarms), 1000 - made
        )
        low, high = lang_reiczigel(Share(int(flagged), 1000), rates)
        held += low <= percent / 100 <= high

    assert held >= 0.92 * 500


@pytest.mark.parametrize("percent", [5, 10, 20, 30, 40, 50, 60])
def test_coverage_is_the_nominal_one(percent: int) -> None:
    """For samples of a population, 95 % of the intervals contain its prevalence."""
    random = np.random.default_rng(percent)
    truth, se, fa = percent / 100, FOUND / AI, FALSE_POSITIVES / REAL
    held = 0
    for _ in range(1000):
        rates = Rates(
            Share(int(random.binomial(2500, se)), 2500), Share(int(random.binomial(2500, fa)), 2500)
        )
        flagged = int(random.binomial(1000, truth * se + (1 - truth) * fa))
        low, high = lang_reiczigel(Share(flagged, 1000), rates)
        held += low <= truth <= high

    assert 0.93 * 1000 <= held <= 0.97 * 1000


def test_interval_is_narrow() -> None:
    """With 10,000 images and rates from 10,000, the interval is about one point either way."""
    low, high = lang_reiczigel(Share(4_764, 10_000), RATES)

    assert 0.015 < high - low < 0.03


def test_several_detectors() -> None:
    """Each detector is corrected by its rates; the total is their mean weighted by images."""
    coarse = Rates(Share(800, 1000), Share(100, 1000))
    known = {"fine": RATES, "coarse": coarse}
    looked = [("fine", 3_000, 900), ("coarse", 1_000, 240), ("unmeasured", 500, 3), ("idle", 0, 0)]
    share = corrected_share(looked, known.get)
    assert share is not None
    fine, other = share.by_detector

    assert other.share == pytest.approx((0.24 - 0.1) / 0.7)
    assert share.images == 4_000
    assert share.share == pytest.approx(0.75 * fine.share + 0.25 * other.share)
    assert share.unmeasured == ("unmeasured",)
    # The joint interval is narrower than the mean of both, and than the coarse one.
    mean = sum(one.images * (one.interval.high - one.interval.low) for one in (fine, other)) / 4_000
    assert share.interval.high - share.interval.low < mean


def test_false_positives() -> None:
    """Where nothing is AI-generated, everything flagged is a false positive, and no more."""
    nothing = corrected_share([("d", 10_000, 94)], lambda _: RATES)
    some = corrected_share([("d", 10_000, 4_764)], lambda _: RATES)
    assert nothing is not None
    assert some is not None

    assert nothing.false_positives == pytest.approx(94)
    assert nothing.false_positives_interval.high <= 94
    # Half of ten thousand are real, 9.4 in a thousand of them are flagged.
    assert some.false_positives == pytest.approx(47, abs=0.5)
    low, high = some.false_positives_interval
    assert low < 47 < high


def test_no_usable_rates() -> None:
    """Without rates, or with uninformative ones, there is no estimate."""
    useless = Rates(Share(10, 100), Share(10, 100))

    assert corrected_share([("d", 100, 5)], lambda _: None) is None
    assert corrected_share([("d", 100, 5)], lambda _: useless) is None
    assert corrected_share([], lambda _: RATES) is None
    assert lang_reiczigel(Share(5, 100), useless) == Interval(0.0, 1.0)
