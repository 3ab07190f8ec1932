"""How a detector's rate varies from source to source, and what it may be for a source unseen.

A detector finds nine in ten images of one generator and one in ten of another, and flags the
photographs of one owner more often than those of the next. So its rate in a collection is a draw
from the distribution of rates between sources, not their mean.

Rates are beta-distributed between sources, and flagged images binomial within each. The beta's mean
and the sum of its parameters are not known either: each pair counts as much as it explains what was
measured, with the prior of Gelman et al. (Bayesian Data Analysis, 3rd edition, 2013, section 5.3),
which is uniform in the mean and in sum ** -0.5. So few sources, or sources that differ, give a wide
distribution, and many that agree a narrow one.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from workers.evaluation.intervals import Share

# Equally probable rates that stand for a distribution.
RATES = 100
# Points of the grid of means and of that of sum ** -0.5, the ends of the latter, and how often the
# grid is drawn anew around the pairs that matter.
_MEANS, _SPREADS = 50, 30
_NARROWEST, _WIDEST = 0.01, 1.0
_ZOOMS = 2
# Pairs of parameters that are less likely than this, relative to the likeliest, do not matter.
_NEGLIGIBLE = 1e-6
# And these change no rate by more than 1e-7.
_WEIGHTLESS = 1e-9
# Points at which a distribution is computed, by their log-odds up to this far from zero.
_POINTS, _FARTHEST = 1_500, 14.0


@lru_cache(maxsize=64)
def rates_between(sources: tuple[Share, ...]) -> NDArray[np.float64]:
    """Return `RATES` equally probable rates of a new source, ascending, by the measured ones."""
    alphas, betas, weights = _fitted(sources)
    odds = np.linspace(-_FARTHEST, _FARTHEST, _POINTS)
    log_rate, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
    # The density of the log-odds, which is bounded where that of the rate is not.
    exponents = np.outer(alphas, log_rate)
    exponents += np.outer(betas, log_rest)
    exponents -= _log_beta(alphas, betas)[:, None]
    density = weights @ np.exp(exponents, out=exponents)
    below = np.cumsum(density) - density / 2
    wanted = (np.arange(RATES) + 0.5) / RATES
    rates: NDArray[np.float64] = 1 / (1 + np.exp(-np.interp(wanted * below[-1], below, odds)))
    rates.setflags(write=False)
    return rates


def of_any(rates: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the rates at which any of several detectors flags an image, if they err separately."""
    missed = 1 - rates[0]
    for other in rates[1:]:
        every = np.sort(np.outer(missed, 1 - other), axis=None)
        missed = every[RATES // 2 :: RATES]
    return np.sort(1 - missed)


def _fitted(sources: Sequence[Share]) -> tuple[NDArray[np.float64], ...]:
    """Return parameters of the beta distributions that explain the sources, and their weights."""
    ends, spreads = (0.0, 1.0), (_NARROWEST, _WIDEST)
    for _ in range(_ZOOMS):
        # Where the weight is, and a cell of the coarser grid around it.
        at, spread, weights = _weighted(sources, ends, spreads)
        matter = weights > _NEGLIGIBLE
        ends = _around(at[matter], (ends[1] - ends[0]) / _MEANS, (0.0, 1.0))
        width = (spreads[1] - spreads[0]) / _SPREADS
        spreads = _around(spread[matter], width, (_NARROWEST, _WIDEST))
    at, spread, weights = _weighted(sources, ends, spreads)
    matter = weights > _WEIGHTLESS
    mean, spread = _mean(at[matter]), spread[matter]
    return mean / spread**2, (1 - mean) / spread**2, weights[matter]


def _weighted(
    sources: Sequence[Share], ends: tuple[float, float], spreads: tuple[float, float]
) -> tuple[NDArray[np.float64], ...]:
    """Return the points of a grid of means and spreads, and how well each explains the sources."""
    steps = (np.arange(_MEANS) + 0.5) / _MEANS
    at, spread = (
        grid.ravel()
        for grid in np.meshgrid(
            ends[0] + (ends[1] - ends[0]) * steps, np.linspace(*spreads, _SPREADS)
        )
    )
    mean = _mean(at)
    alphas, betas = mean / spread**2, (1 - mean) / spread**2
    # The prior is uniform in the mean: the derivative of `_mean`.
    log_weights = np.log(2 * at * (1 - at) / (at**2 + (1 - at) ** 2) ** 2)
    # Many sources have a number in common: as many images, or none flagged.
    log_weights += (
        _log_gammas(alphas, (each.part for each in sources))
        + _log_gammas(betas, (each.whole - each.part for each in sources))
        - _log_gammas(alphas + betas, (each.whole for each in sources))
    )
    log_weights -= len(sources) * _log_beta(alphas, betas)
    return at, spread, np.exp(log_weights - log_weights.max())


def _mean(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of a point of the grid, which is denser towards 0 and 1, as rates are."""
    squares = at**2
    return np.divide(squares, squares + (1 - at) ** 2)


def _around(
    values: NDArray[np.float64], margin: float, limits: tuple[float, float]
) -> tuple[float, float]:
    low, high = float(values.min()) - margin, float(values.max()) + margin
    return max(limits[0], low), min(limits[1], high)


def _log_beta(alphas: NDArray[np.float64], betas: NDArray[np.float64]) -> NDArray[np.float64]:
    return _log_gamma(alphas) + _log_gamma(betas) - _log_gamma(alphas + betas)


def _log_gammas(values: NDArray[np.float64], added: Iterable[int]) -> NDArray[np.float64]:
    """Return the sum of log gamma of the values with each of the numbers added."""
    logs = np.zeros_like(values)
    for number, times in Counter(added).items():
        logs += times * _log_gamma(values + number)
    return logs


def _log_gamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log gamma by Stirling's series, of positive numbers; errors are below 1e-9."""
    shift = 8
    product = values.copy()
    for step in range(1, shift):
        product *= values + step
    high = values + shift
    inverse = 1 / high
    squared = inverse * inverse
    series = inverse * (1 / 12 - squared * (1 / 360 - squared / 1260))
    stirling = (high - 0.5) * np.log(high) - high + 0.5 * np.log(2 * np.pi) + series
    logs: NDArray[np.float64] = stirling - np.log(product)
    return logs
