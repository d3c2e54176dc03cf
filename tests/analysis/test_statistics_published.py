"""Tests of shares, and of what the published study reported."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from poseemo_lib.analysis import statistics
from poseemo_lib.analysis.binomial import p_above_share, wilson_interval

# The published 31.16 % run: rows true, columns predicted (angry, disgust, fear, happy, neutral, sad, surprise).
PUBLISHED = np.array(
    [
        [9, 1, 4, 17, 46, 14, 6],
        [3, 27, 18, 7, 21, 12, 1],
        [4, 1, 21, 3, 14, 7, 2],
        [17, 4, 1, 36, 85, 40, 6],
        [17, 0, 8, 26, 159, 59, 15],
        [9, 2, 1, 9, 50, 21, 7],
        [13, 0, 1, 12, 34, 15, 4],
    ]
)


def test_the_published_accuracy_is_not_shown_to_be_above_the_largest_class():
    assert pytest.approx(0.3397, abs=1e-4) == 302 / 889 and pytest.approx(0.3195, abs=1e-4) == 284 / 889
    assert p_above_share(302, 889, 284 / 889) == pytest.approx(0.10, abs=0.005)
    assert p_above_share(302, 889, 284 / 889) == pytest.approx(binom.sf(301, 889, 284 / 889))
    assert [round(100 * end, 1) for end in wilson_interval(302, 889)] == [30.9, 37.1]


def test_the_published_run_against_majority_clip_by_clip():
    """Its confusion matrix says which clips majority gets right: the neutral ones."""
    labels, answers = (np.repeat(index.ravel(), PUBLISHED.ravel()) for index in np.indices(PUBLISHED.shape))
    right, majority_right = labels == answers, labels == 4
    assert (right.sum(), majority_right.sum(), len(labels)) == (277, 284, 889)
    n_run, n_majority, p = statistics.mcnemar(right, majority_right)
    assert (n_run, n_majority) == (277 - 159, 284 - 159)
    assert p == pytest.approx(binomtest(118, 243).pvalue) and p > 0.6
