"""The colours of classes and people, in figures and in videos; imports nothing.

Those of the seven emotions are of Okabe and Ito (2008, "Color universal design"), which people with any colour vision
can tell apart.
"""

EMOTION_COLOURS = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#E69F00",
    "neutral": "#999999",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
}
# Any other class takes one of these, by its place among such classes. They stay apart from those of the seven and from
# each other for people who see no red or no green.
OTHER_COLOURS = ("#4466EE", "#661100", "#DDCC77", "#332288", "#88EEAA", "#444444", "#996633", "#550055")
PEOPLE_COLOURS = ("#0072B2", "#D55E00")


def class_colour(name: str, classes: tuple[str, ...]) -> str:
    """Colour of a class: fixed for the seven emotions, by place among the others for any other."""
    others = [one for one in classes if one not in EMOTION_COLOURS]
    return EMOTION_COLOURS.get(name) or OTHER_COLOURS[others.index(name) % len(OTHER_COLOURS)]
