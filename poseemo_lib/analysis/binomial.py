"""A share of independent clips: its interval, and a test against a constant.

For published numbers, of which nothing but the counts is known. Our own clips come in groups: see `resampling`.
"""


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), for independent clips.

    Parameters
    ----------
    successes, n : int
        0 <= successes <= n, n >= 1.
    confidence : float
        0 to 1, exclusive.

    Returns
    -------
    low, high : float
        Shares, 0 to 1.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def p_above_share(successes: int, n: int, share: float) -> float:
    """Probability of at least so many successes if each came with the given share: one-sided exact binomial test.

    For a published accuracy against a constant such as the share of the largest class. Clips count as independent.
    """
    from scipy.stats import binomtest

    return float(binomtest(successes, n, share, alternative="greater").pvalue)
