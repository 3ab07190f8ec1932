"""The corrected share, against values computed by hand, by SciPy, and by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scanner.report.figures.estimate import (
    Rates,
    Standing,
    binomial_at_most,
    corrected_share,
    interval,
)
from scanner.report.figures.spread import RATES, of_any, rates_between
from storage.reads.coverage import Scored
from workers.evaluation.intervals import Share, wilson

if TYPE_CHECKING:
    from scanner.report.figures.estimate import CorrectedShare

# Twenty generators of 50 images, of which 60 to 79 % are flagged, and forty owners of 50 images.
FOUND = tuple(Share(30 + n % 10, 50) for n in range(20))
FALSE = tuple(Share(int(n % 8 == 0), 50) for n in range(40))
RATES_OF = Rates(FOUND, FALSE)


def estimated(images: int, flagged: int, rates: Rates = RATES_OF) -> CorrectedShare:
    """Return the corrected share of images that one detector scored."""
    share = corrected_share([Scored(("d",), images, flagged)], lambda _: rates)
    assert share is not None
    return share


def test_wilson_by_hand() -> None:
    """The textbook's example: 0 of 10 is compatible with up to 27.8 %."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_binomial_is_scipys() -> None:
    """The approximation differs from the exact probability by less than 0.005."""
    stats = pytest.importorskip("scipy.stats")
    cases = [
        (number, trials, rate)
        for trials in (1, 2, 10, 1_000, 1_000_000)
        for rate in (1e-5, 0.003, 0.1, 0.5, 0.97)
        for number in {0, 1, trials // 10, round(trials * rate), trials - 1}
        if number < trials
    ]

    for number, trials, rate in cases:
        exact = stats.binom.cdf(number, trials, rate)
        assert exact == pytest.approx(binomial_at_most(number, trials, rate), abs=0.005)
    assert (0.0, 1.0, 1.0, 0.0) == (
        binomial_at_most(-1, 5, 0.5),
        binomial_at_most(5, 5, 0.5),
        binomial_at_most(2, 5, 0.0),
        binomial_at_most(2, 5, 1.0),
    )


def test_known_rates_give_the_exact_interval() -> None:
    """With a sensitivity of 1 and no false positives it is that of Clopper and Pearson."""
    stats = pytest.importorskip("scipy.stats")
    low, high = interval(30, 200, np.ones(RATES), np.zeros(RATES)) or (0.0, 0.0)

    assert stats.beta.ppf(0.025, 30, 171) == pytest.approx(low, abs=0.002)
    assert stats.beta.ppf(0.975, 31, 170) == pytest.approx(high, abs=0.002)


def test_rates_between_like_sources_are_near_their_mean() -> None:
    """A hundred sources of a thousand images at 30 % promise 30 % of the next one, too."""
    rates = rates_between((Share(300, 1000),) * 100)

    assert 0.3 == pytest.approx(rates.mean(), abs=0.002)
    assert 0.26 < rates[2] < rates[97] < 0.34


def test_rates_between_unlike_sources_are_as_far_apart_as_these() -> None:
    """Where generators are found at 10 % or at 90 %, the next one may be found at either."""
    rates = rates_between((Share(100, 1000), Share(900, 1000)) * 20)

    assert 0.5 == pytest.approx(rates.mean(), abs=0.03)
    assert rates[10] < 0.2
    assert rates[90] > 0.8


def test_few_sources_say_little() -> None:
    """Three owners without a false positive promise less than a hundred such owners."""
    few, many = (rates_between((Share(0, 50),) * number) for number in (3, 100))

    assert few[90] > 0.2
    assert many[90] < few[90] / 4


def test_rates_of_any_of_two_detectors() -> None:
    """Two that flag half each, separately, flag three in four together."""
    half = np.full(RATES, 0.5)

    assert of_any([half, half]) == pytest.approx(np.full(RATES, 0.75))
    assert of_any([half]) == pytest.approx(half)


def test_intervals_contain_the_share_for_unseen_sources() -> None:
    """95 % of the intervals do, where the collection's rates are other draws of their kind."""
    random = np.random.default_rng(5)
    held = 0
    for truth in np.repeat([0.0, 0.02, 0.1, 0.3, 0.6], 20):
        measured = [
            tuple(Share(int(random.binomial(40, rate)), 40) for rate in random.beta(*kind, 30))
            for kind in ((4, 3), (0.5, 60))
        ]
        rates = Rates(measured[0], measured[1])
        found, false = random.beta(4, 3), random.beta(0.5, 60)
        flagged = random.binomial(2000, truth * found + (1 - truth) * false)
        bounds = estimated(2000, int(flagged), rates).interval
        held += bounds is not None and bounds.low <= truth <= bounds.high

    assert held >= 0.92 * 100


@pytest.mark.parametrize(
    ("images", "flagged", "standing"),
    [
        (1_000, 100, Standing.BETWEEN),
        (1_000, 990, Standing.CONTRADICTED),
        (49, 10, Standing.TOO_FEW),
    ],
)
def test_what_an_estimate_tells(images: int, flagged: int, standing: Standing) -> None:
    """Bounds, or nothing where no share explains the flagged images, or where these are few."""
    assert standing is estimated(images, flagged).standing


def test_contradiction_has_a_direction() -> None:
    """More images are flagged than if all were AI-generated, or fewer than if none were."""
    often = Rates(FOUND, (Share(10, 100),) * 40)

    assert estimated(1_000, 990).too_many
    assert estimated(100_000, 0, often).standing is Standing.CONTRADICTED
    assert not estimated(100_000, 0, often).too_many


def test_rates_that_vary_say_nothing() -> None:
    """Where some generators are hardly found, what is flagged bounds the share only from below."""
    varied = Rates((Share(0, 50), Share(50, 50)) * 10, FALSE)

    assert estimated(1_000, 3, varied).standing is Standing.TOO_WIDE
    assert estimated(1_000, 400, varied).standing is Standing.AT_LEAST


def test_parts_add_up() -> None:
    """Images seen by one detector, and by two, are corrected apart; bounds are weighted sums."""
    scored = [
        Scored(("d",), 3_000, 300),
        Scored(("d", "e"), 1_000, 10),
        Scored(("unmeasured",), 500, 3),
        Scored(("d", "unmeasured"), 50, 3),
    ]
    share = corrected_share(scored, {"d": RATES_OF, "e": RATES_OF}.get)
    assert share is not None
    assert share.interval is not None
    one, both = share.parts

    assert (4_000, 310, ("unmeasured",)) == (share.images, share.flagged, share.unmeasured)
    assert one.interval is not None
    assert both.interval is not None
    for bound in (0, 1):
        expected = 0.75 * one.interval[bound] + 0.25 * both.interval[bound]
        assert expected == pytest.approx(share.interval[bound])
    assert both.sensitivity.mean() > one.sensitivity.mean()
    assert share.interval.low <= (share.share or 0.0) <= share.interval.high


def test_false_positives() -> None:
    """Where nothing is AI-generated, everything flagged may be false; never more than that."""
    nothing, some = estimated(10_000, 25), estimated(10_000, 3_000)

    assert 25 == nothing.false_positives_interval.high
    # Half a percent of owners' photographs are flagged, at most a few percent of an owner's.
    low, high = some.false_positives_interval
    assert low < some.false_positives < high < 400


def test_no_usable_rates() -> None:
    """Without rates, or with uninformative ones, there is no estimate."""
    useless = Rates(FOUND, FOUND)
    scored = [Scored(("d",), 100, 5)]

    assert corrected_share(scored, lambda _: None) is None
    assert corrected_share(scored, lambda _: useless) is None
    assert corrected_share([], lambda _: RATES_OF) is None
