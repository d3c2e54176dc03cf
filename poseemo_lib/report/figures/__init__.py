"""The figures of the report: one figure a file, from the runs to a picture, its text and its numbers.

Every module has `draw(material) -> Drawn`. Without the runs that it needs it returns an empty panel that says so.
"""

from poseemo_lib.report.figures.drawn import Drawn

__all__ = ["Drawn"]
