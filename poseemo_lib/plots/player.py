"""The skeleton player: a clip that moves, where the network looks in time, and what it predicts."""

from dataclasses import dataclass

import numpy as np

from poseemo_lib.plots import style
from poseemo_lib.plots.interactive import house_layout, menu, plain_text
from poseemo_lib.skeleton import EDGES, JOINT
from poseemo_lib.video.palette import PEOPLE_COLOURS

_FIELD = 1000  # a clip's longer side in whole steps, which keeps the figure small
_HEIGHT, _MARGIN = 620, {"l": 46, "r": 16, "t": 106, "b": 140}
_AT_ONCE = {"mode": "immediate", "transition": {"duration": 0}, "frame": {"duration": 0, "redraw": False}}
# In this order; the first three move. The clip that is chosen takes the place of the one before.
TRACES = ("person 1", "person 2", "cursor", "attention", "planted", "probabilities")
N_MOVING = 3


@dataclass(frozen=True)
class PlayerClip:
    """One clip of the player.

    Parameters
    ----------
    keypoints : array (T, M, 17, 3)
        As prepared for the network: x, y (down) and confidence; missing: NaN.
    mask : bool array (T,)
        True for real frames; padding is not shown.
    attention : array (T,) or None
        None if the network has no attention.
    probabilities : array (C,)
    planted : (int, int) or None
        First frame of the planted emotion and the one after its last, in synthetic clips.
    """

    name: str
    label: str
    keypoints: np.ndarray
    mask: np.ndarray
    fps: float
    attention: np.ndarray | None
    probabilities: np.ndarray
    planted: tuple[int, int] | None = None


def skeleton_player(clips, classes, *, synthetic: bool):
    """Play clips as stick figures, with the attention over time below and the probabilities beside.

    A dropdown chooses the clip. The figure has the frames `0/0`, `0/1`, ... of the first clip, in the group `0`, and so
    on, and the frames `clip/0`, `clip/1`, ... that put a clip in place. Without a clip it raises ValueError.
    """
    import plotly.graph_objects as go

    if not clips:
        raise ValueError("wanted at least one clip, got none")
    scenes = [_Scene(clip, tuple(classes)) for clip in clips]
    layout = house_layout(height=_HEIGHT, margin=_MARGIN, synthetic=synthetic, **_axes(), **_controls(scenes))
    moves = [frame for place, scene in enumerate(scenes) for frame in scene.frames(place)]
    entries = [_entry(place, scenes) for place in range(len(scenes))]
    first = scenes[0].values()
    traces = [{"name": name, **look, **first[name]} for name, look in _LOOKS.items()]
    return go.Figure(traces, layout, [*moves, *entries]).update_layout(scenes[0].layout())


def body_path() -> list[int | None]:
    """Return the joints in an order that draws every edge of the skeleton once, with None where the pen is lifted."""
    left, path = list(EDGES), []
    while left:
        joints = list(left.pop(0))
        while found := next((edge for edge in left if joints[-1] in edge), None):
            left.remove(found)
            joints.append(found[1] if found[0] == joints[-1] else found[0])
        path += [*joints, None]
    # If only the nose of a head was seen, it still has its dot.
    return [*path, JOINT["nose"]]


_PATH = body_path()


def _positions(clip: PlayerClip) -> np.ndarray:
    """Positions of the real frames, fitted into a field of `_FIELD` steps: (T, 2, 17, 2); missing: NaN."""
    xy = np.asarray(clip.keypoints, dtype=float)[np.asarray(clip.mask, dtype=bool), :2, :, :2]
    both = np.full((len(xy), len(PEOPLE_COLOURS), *xy.shape[2:]), np.nan)
    both[:, : xy.shape[1]] = xy
    seen = both[np.isfinite(both).all(-1)]
    if len(seen) == 0:
        return both
    low, high = seen.min(0), seen.max(0)
    scale = _FIELD / max((high - low).max(), 1e-9)
    return np.round((both - (low + high) / 2) * scale + _FIELD / 2)


class _Scene:
    """One clip as traces, frames and what the layout says of it."""

    def __init__(self, clip: PlayerClip, classes: tuple[str, ...]):
        self.clip, self.classes = clip, classes
        self.positions = _positions(clip)
        self.seconds = np.round(np.arange(len(self.positions)) / clip.fps, 3).tolist()
        self.attention = _even_attention(clip)
        self.shares = np.asarray(clip.probabilities, dtype=float).round(4).tolist()
        highest = 0.0 if self.attention is None or not len(self.attention) else float(self.attention.max())
        self.top = round(max(2.0, 1.15 * highest), 2)

    def values(self) -> dict[str, dict]:
        """Name of a trace -> what it shows of this clip before it moves."""
        first = self.positions[0] if len(self.positions) else np.full((len(PEOPLE_COLOURS), len(JOINT), 2), np.nan)
        still = [*(_body(person) for person in first), self._cursor(0)]
        probabilities = {"x": self.shares, "y": list(range(len(self.classes)))}
        return dict(zip(TRACES, [*still, self._attention(), self._planted(), probabilities], strict=True))

    def frames(self, group: int) -> list[dict]:
        """Frames `group/0`, `group/1`, ... of the moving traces."""
        return [
            {
                "name": f"{group}/{frame}",
                "group": str(group),
                "traces": list(range(N_MOVING)),
                "data": [*(_body(person) for person in people), self._cursor(frame)],
            }
            for frame, people in enumerate(self.positions)
        ]

    def layout(self) -> dict:
        """Say what the layout shows of this clip."""
        best, label = self.classes[int(np.argmax(self.shares))], self.clip.label
        names = self._names()
        told = f"true class <b>{plain_text(label, 16)}</b>, predicted <b>{plain_text(best, 16)}</b>"
        seen = self.attention is not None
        return {
            "title": {"text": told},
            "shapes": self._shapes(),
            "xaxis2": {"range": [0, max(self.seconds, default=0) or 1]},
            "yaxis2": {"range": [0, self.top], "showticklabels": seen, "title": {"text": _ATTENTION[seen]}},
            "yaxis3": {"range": [len(names) - 0.5, -0.5], "tickvals": list(range(len(names))), "ticktext": names},
        }

    def _names(self) -> list[str]:
        """Write the classes with their probabilities, the true one in bold."""
        names = []
        for name, share in zip(self.classes, self.shares, strict=True):
            text = f"{plain_text(name, 16)} {100 * share:.0f} %"
            names.append(f"<b>✓ {text}</b>" if name == self.clip.label else text)
        return names

    def _cursor(self, frame: int) -> dict:
        second = self.seconds[frame] if self.seconds else 0
        return {"x": [second, second], "y": [0, self.top]}

    def _attention(self) -> dict:
        values = [] if self.attention is None else self.attention.round(3).tolist()
        return {"x": self.seconds[: len(values)], "y": values}

    def _planted(self) -> dict:
        if self.clip.planted is None:
            return {"x": [], "y": [], "text": []}
        first, last = (round(frame / self.clip.fps, 3) for frame in self.clip.planted)
        corners = {"x": [first, first, (first + last) / 2, last, last], "y": [0, *[self.top] * 3, 0]}
        return {**corners, "text": ["", "", "planted here", "", ""]}

    def _shapes(self) -> list[dict]:
        """Draw a line at even attention, and the probabilities as bars."""
        edges = [2 if name == self.clip.label else 0 for name in self.classes]
        colours = [style.emotion_mark(name, self.classes)[0] for name in self.classes]
        bars = [
            {"type": "rect", "xref": "x3", "yref": "y3", "x0": 0, "x1": share, "y0": row - 0.38, "y1": row + 0.38,
             "fillcolor": colour, "line": {"color": "#000000", "width": edge}}
            for row, (share, colour, edge) in enumerate(zip(self.shares, colours, edges, strict=True))
        ]  # fmt: skip
        return [{**_EVEN, "visible": self.attention is not None}, *bars]


_ATTENTION = {True: "attention<br>(1: even)", False: "no attention<br>in this network"}
_EVEN = {
    "type": "line", "xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1, "y0": 1, "y1": 1,
    "line": {"color": "#888888", "width": 1, "dash": "dot"},
}  # fmt: skip
_QUIET = {"type": "scatter", "hoverinfo": "skip", "showlegend": False, "cliponaxis": False}
_BELOW = {"xaxis": "x2", "yaxis": "y2", **_QUIET}


def _pen(colour: str) -> dict:
    pen = {"line": {"color": colour, "width": 3}, "marker": {"color": colour, "size": 5}}
    return {"mode": "lines+markers", "connectgaps": False, **pen, **_QUIET}


_SPAN = {"mode": "lines+text", "fill": "toself", "fillcolor": "rgba(230,159,0,0.3)", "line": {"width": 0}}
_LOOKS = {
    "person 1": _pen(PEOPLE_COLOURS[0]),
    "person 2": _pen(PEOPLE_COLOURS[1]),
    "cursor": {"mode": "lines", "line": {"color": "#000000", "width": 2}, **_BELOW},
    "attention": {"mode": "lines", "fill": "tozeroy", "fillcolor": "rgba(85,85,85,0.18)",
                  "line": {"color": "#555555", "width": 1.5}, **_BELOW},
    "planted": {"textposition": "top center", "textfont": {"size": 11, "color": "#7F3F00"}, **_SPAN, **_BELOW},
    # Unseen: it only carries the numbers and their axes. While others move, plotly loses the traces of a part in which
    # none does: bars are shapes, and their numbers stand with the names.
    "probabilities": {"mode": "markers", "marker": {"opacity": 0}, "xaxis": "x3", "yaxis": "y3", **_QUIET},
}  # fmt: skip


def _body(xy: np.ndarray) -> dict:
    """One person of one frame, (17, 2), as a line."""
    places = [None if joint is None or not np.isfinite(xy[joint]).all() else xy[joint] for joint in _PATH]
    return {key: [None if place is None else int(place[axis]) for place in places] for axis, key in enumerate("xy")}


def _even_attention(clip: PlayerClip) -> np.ndarray | None:
    """Attention of the real frames, 1 where it is as if spread evenly; (T,)."""
    if clip.attention is None:
        return None
    values = np.asarray(clip.attention, dtype=float)[np.asarray(clip.mask, dtype=bool)]
    return values / values.mean() if len(values) and values.mean() > 0 else values


def _axes() -> dict:
    """Skeletons at the left, probabilities at the right, attention under both."""
    hidden = {"visible": False, "fixedrange": True}
    plain = {"fixedrange": True, "zeroline": False, "showgrid": False, "ticks": "outside", "ticklen": 3}
    upper, side = [0.38, 1], [0.7, 1]
    title = {"x": 0, "xref": "paper", "y": 1, "yref": "paper", "yanchor": "bottom", "pad": {"b": 8}}
    return {
        "title": {**title, "font": {"size": 13}},
        "xaxis": {"domain": [0, 0.44], "range": [-20, _FIELD + 20], **hidden},
        "yaxis": {"domain": upper, "range": [_FIELD + 20, -20], "scaleanchor": "x", **hidden},
        "xaxis2": {"domain": [0, 1], "anchor": "y2", "title": {"text": "seconds", "standoff": 4}, **plain},
        "yaxis2": {"domain": [0, 0.26], "anchor": "x2", "nticks": 4, "title": {"font": {"size": 11}}, **plain},
        "xaxis3": {"domain": side, "anchor": "y3", "range": [0, 1], "tickvals": [], **plain},
        "yaxis3": {"domain": upper, "anchor": "x3", **plain, "tickcolor": "rgba(0,0,0,0)"},
    }  # fmt: skip


def _controls(scenes: list[_Scene]) -> dict:
    """Dropdown of the clips; for each clip play and pause, and a slider over its frames, of which one pair is shown."""
    plot = _HEIGHT - _MARGIN["t"] - _MARGIN["b"]
    chooser = menu([_choice(place, scene) for place, scene in enumerate(scenes)], y=1 + 72 / plot)
    play = [_play(place, scene, -46 / plot) for place, scene in enumerate(scenes)]
    sliders = [_slider(place, scene, -80 / plot) for place, scene in enumerate(scenes)]
    return {"updatemenus": [chooser, *play], "sliders": sliders}


def _choice(place: int, scene: _Scene) -> dict:
    """Dropdown entry: put this clip in place, and stop one that plays."""
    at_once = {**_AT_ONCE, "frame": {"duration": 0, "redraw": True}}
    return {"label": plain_text(scene.clip.name), "method": "animate", "args": [[f"clip/{place}"], at_once]}


def _entry(place: int, scenes: list[_Scene]) -> dict:
    """Frame that puts a clip and its controls in place."""
    shown = [{"visible": other == place and bool(scene.seconds)} for other, scene in enumerate(scenes)]
    return {
        "name": f"clip/{place}",
        "group": "clip",
        "traces": list(range(len(TRACES))),
        "data": list(scenes[place].values().values()),
        "layout": {**scenes[place].layout(), "updatemenus": [{}, *shown], "sliders": shown},
    }


def _play(place: int, scene: _Scene, y: float) -> dict:
    pace = {"duration": round(1000 / scene.clip.fps), "redraw": False}
    named = {"▶ Play": [str(place), {**_AT_ONCE, "fromcurrent": True, "frame": pace}], "❚❚ Pause": [[None], _AT_ONCE]}
    buttons = [{"label": label, "method": "animate", "args": args} for label, args in named.items()]
    row = {"type": "buttons", "direction": "left", "showactive": False, "visible": place == 0 and bool(scene.seconds)}
    return menu(buttons, y=y, **row)


def _slider(place: int, scene: _Scene, y: float) -> dict:
    steps = [
        {"label": f"{second:.2f} s", "method": "animate", "args": [[f"{place}/{frame}"], _AT_ONCE]}
        for frame, second in enumerate(scene.seconds)
    ]
    shown = {"xanchor": "right", "font": {"size": 12, "color": "#1d2126"}}
    return {
        "steps": steps, "active": 0, "visible": place == 0 and bool(steps), "x": 0, "y": y, "len": 1,
        "currentvalue": shown,
        "pad": {"t": 0, "b": 0}, "font": {"size": 1, "color": "rgba(0,0,0,0)"}, "ticklen": 0, "minorticklen": 0,
    }  # fmt: skip
