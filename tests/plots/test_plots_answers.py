import drawings as draw
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from poseemo_lib.clips import EMOTIONS
from poseemo_lib.plots import style
from poseemo_lib.plots.answers import answers_over_time

SECONDS = [2.6, 2.8, 3.0]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def table(classes):
    values = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(SECONDS))
    return pd.DataFrame({"stop_seconds": SECONDS, **{f"p_{name}": values[:, i] for i, name in enumerate(classes)}})


@pytest.mark.parametrize("classes", [EMOTIONS, ("calm", "a$x_1$b$", "happy")])
def test_every_class_is_a_line_of_its_own_look(classes):
    rows = table(classes)
    fig, ax = answers_over_time(rows, classes, threshold=0.4, synthetic=True, title="A clip", ax=None)
    assert len(ax.lines) == len(classes)
    for line, name in zip(ax.lines, classes, strict=True):
        assert line.get_color() == style.emotion_mark(name, classes)[0]
        np.testing.assert_allclose(line.get_ydata(), rows[f"p_{name}"])
        np.testing.assert_allclose(line.get_xdata(), SECONDS)
    fig.canvas.draw()
    assert not draw.overlapping(fig)
    assert any(text.get_text() == style.SYNTHETIC_TEXT for text in fig.texts)


def test_real_data_have_no_mark_and_one_window_is_enough():
    fig, _ = answers_over_time(table(EMOTIONS)[:1], EMOTIONS, threshold=0.4, synthetic=False)
    fig.canvas.draw()
    assert not any(text.get_text() == style.SYNTHETIC_TEXT for text in fig.texts)
