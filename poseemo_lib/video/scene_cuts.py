"""Where one shot ends and the next begins, frame by frame: nobody is followed across a cut.

PySceneDetect's ContentDetector finds a change of content; a correlation with the frame before tells a cut from a flash.
"""

import numpy as np

from poseemo_lib.errors import UsageError

# Mean change of hue, saturation and brightness, each 0 to 255, from which on PySceneDetect calls it a cut: its default.
THRESHOLD = 27.0
# Seconds from one cut to the next, at least: PySceneDetect's default.
MIN_SCENE = 0.6
# Longer side of the picture that is compared, in pixels: PySceneDetect's default.
_SIDE = 256
# Brightness patterns that correlate at least so much are one scene under another light.
_SAME = 0.8
# A picture whose brightness varies less (standard deviation, 0 to 127) shows nothing: black, white, a blown-out flash.
_BLANK = 3.0


class CutDetector:
    """Tell the first frame of every new shot.

    A cut is a change of content of at least `threshold` after which the pattern of brightness is another (correlation
    below 0.8), so that a change of light, sudden or gradual, is none. Black and white frames are passed over: what
    follows them is a cut where it is another picture than the one before them, so that a shot that fades out and
    another that fades in are told apart. A cross-fade and a slow pan are not found; a fast pan may look like a cut.

    Parameters
    ----------
    fps : float
        Frames a second of the stream.
    threshold : float
        0 to 255; see :data:`THRESHOLD`.
    min_scene : float
        Seconds after a cut in which there is no other.

    Raises
    ------
    UsageError
        PySceneDetect is not installed.
    """

    def __init__(self, fps: float, *, threshold: float = THRESHOLD, min_scene: float = MIN_SCENE):
        try:
            from scenedetect import ContentDetector
        except ImportError:
            raise UsageError("scene cuts want PySceneDetect; run `pip install 'poseemo[video]'`") from None
        # The length of scenes is counted here, so that a flash does not use it up.
        self._detector = ContentDetector(threshold=threshold, min_scene_len=0)
        self._fps, self._wait = fps, max(1, round(min_scene * fps))
        self._size: tuple[int, int] | None = None
        self._before: np.ndarray | None = None  # the last picture that was not blank, grey
        self._blank = False
        self._frame, self._last = 0, -self._wait

    def is_cut(self, rgb: np.ndarray) -> bool:
        """Take the next frame.

        Parameters
        ----------
        rgb : uint8 array (H, W, 3)

        Returns
        -------
        bool
            Whether it is the first frame of a new shot; never for the first one.
        """
        import cv2

        picture = self._shrink(rgb)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        frame, self._frame = self._frame, self._frame + 1
        if grey.std() < _BLANK:
            self._blank = True
            return False
        changed = self._has_changed(frame, picture) or self._blank
        before, self._before, self._blank = self._before, grey, False
        if not changed or before is None or _correlation(before, grey) >= _SAME or frame - self._last < self._wait:
            return False
        self._last = frame
        return True

    def _shrink(self, rgb: np.ndarray) -> np.ndarray:
        import cv2

        if self._size is None:
            height, width = rgb.shape[:2]
            scale = min(1, _SIDE / max(height, width))
            self._size = max(1, round(width * scale)), max(1, round(height * scale))
        return cv2.resize(rgb, self._size, interpolation=cv2.INTER_LINEAR)

    def _has_changed(self, frame: int, picture: np.ndarray) -> bool:
        import cv2
        from scenedetect import FrameTimecode

        time = FrameTimecode(frame, float(self._fps))
        return bool(self._detector.process_frame(time, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two pictures (H, W), neither of which is of one brightness."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))
