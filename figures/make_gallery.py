"""Write small copies of the figures of the last `make report` into figures/gallery/ (`make gallery`)."""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
WIDTH, MOST_BYTES = 1200, 150_000


def shrink(source: Path, target: Path) -> None:
    """Write a PNG of at most 150 kB: 256 colours, and as wide as fits."""
    picture, width = Image.open(source).convert("RGB"), WIDTH
    while True:
        size = (width, round(picture.height * width / picture.width))
        picture.resize(size, Image.Resampling.LANCZOS).quantize(256).save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            return
        width = int(0.9 * width)


if __name__ == "__main__":
    (HERE / "gallery").mkdir(exist_ok=True)
    for path in sorted(HERE.glob("*/*.png")):
        if path.parent.name != "gallery":
            shrink(path, HERE / "gallery" / path.name)
