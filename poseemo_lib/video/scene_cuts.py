"""Where one shot ends and the next begins, frame by frame: nobody is followed across a cut.

PySceneDetect's ContentDetector finds a change of content; a correlation with the frame before tells a cut from a flash.
"""

import numpy as np

from poseemo_lib.errors import extra

# PySceneDetect's defaults: least mean change of hue, saturation and brightness (0 to 255) of a cut, least seconds
# between two cuts, and longer side of the pictures compared.
THRESHOLD, MIN_SCENE, _SIDE = 27.0, 0.6, 256
# Brightness patterns that correlate at least so much are one scene under another light.
_SAME = 0.8
# A picture whose brightness varies less (standard deviation) is blank: black, white, a flash.
_BLANK = 3.0


class CutDetector:
    """Find the first frame of every new shot in a stream of `fps` frames a second.

    A cut is a change of content after which the pattern of brightness is another, so a change of light is no cut.
    Blank frames are skipped: a cut follows them if the picture after them differs from the one before. Cross-fades and
    slow pans are not found; a fast pan may look like a cut.
    """

    def __init__(self, fps: float):
        with extra("PySceneDetect", "video"):
            import cv2
            from scenedetect import ContentDetector, FrameTimecode
        # The length of scenes is counted here, so that a flash does not use it up.
        self._detector = ContentDetector(threshold=THRESHOLD, min_scene_len=0)
        self._cv2, self._time = cv2, FrameTimecode
        self._fps, self._wait = fps, max(1, round(MIN_SCENE * fps))
        self._size: tuple[int, int] | None = None
        self._before: np.ndarray | None = None  # the last picture that was not blank, grey
        self._blank = False
        self._frame, self._last = 0, -self._wait

    def is_cut(self, rgb: np.ndarray) -> bool:
        """Take the next frame, uint8 (H, W, 3); true if a new shot begins with it, which the very first does not."""
        cv2 = self._cv2
        if self._size is None:
            height, width = rgb.shape[:2]
            scale = min(1, _SIDE / max(height, width))
            self._size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(rgb, self._size, interpolation=cv2.INTER_LINEAR)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        frame, self._frame = self._frame, self._frame + 1
        if grey.std() < _BLANK:
            self._blank = True
            return False
        time, blue_first = self._time(frame, float(self._fps)), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        changed = bool(self._detector.process_frame(time, blue_first)) or self._blank
        before, self._before, self._blank = self._before, grey, False
        if not changed or before is None or frame - self._last < self._wait:
            return False
        if np.corrcoef(before.ravel(), grey.ravel())[0, 1] >= _SAME:
            return False
        self._last = frame
        return True
