"""Photographs, their split by source, and the chain that both classes pass on their way to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from detectors import sources
from detectors.augment import blurred, grainy, jpeg

LOMIRI = (
    "Bridge_by_Sander_Klootwijk", "Dragonfly_by_Bolly", "Picture_0B_by_freespace", "Picture_1A_by_freespace",
    "Wine_by_Jakkub_Mede", "aitzgorri_by_Aitzol_Berasategi", "friends_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich",
    "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi", "seeding_by_Clements_Engelhardt",
    "sunset_by_Aitzol_Berasategi",
)
MATE = (
    "Aqua", "Blinds", "Dune", "FreshFlower", "Garden", "GreenMeadow", "LadyBird", "RainDrops", "Storm", "TwoWings", "Wood",
    "YellowFlower",
)
PLASMA = (
    "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf", "Grey", "Kite", "OneStandsOut",
    "Path", "Shell", "summer_1am",
)
SKIMAGE = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
SKLEARN = ("china.jpg", "flower.jpg")

TEST = {
    "astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "Bridge_by_Sander_Klootwijk",
    "Picture_0B_by_freespace", "Picture_1A_by_freespace", "Dune", "RainDrops", "EveningGlow", "Path", "ColorfulCups",
}
CALIBRATION = {
    "china", "flower", "Wine_by_Jakkub_Mede", "greentock_by_Peter_Nerlich", "Dragonfly_by_Bolly", "GreenMeadow",
    "LadyBird", "Blinds", "FallenLeaf", "Shell", "OneStandsOut",
}
CROP = 320


@dataclass(frozen=True)
class Photograph:
    name: str
    path: Path

    @property
    def split(self) -> str:
        return "test" if self.name in TEST else "calibration" if self.name in CALIBRATION else "train"


def photographs() -> list[Photograph]:
    """Every photograph, in a fixed order. Drawings and rendered wallpapers of the same packages are left out by name."""
    media = sources.fetch()
    site = next((sources.CACHE / "venv" / "lib").glob("python3*")) / "site-packages"
    found = [media / "lomiri-wallpapers-16.04/usr/share/backgrounds" / f"{name}.jpg" for name in LOMIRI]
    found += [media / "mate-backgrounds/usr/share/backgrounds/mate/nature" / f"{name}.jpg" for name in MATE]
    found += [site / "skimage/data" / name for name in SKIMAGE]
    found += [site / "sklearn/datasets/images" / name for name in SKLEARN]
    photos = [Photograph(path.stem, path) for path in found]
    for name in PLASMA:
        folder = media / "plasma-workspace-wallpapers/usr/share/wallpapers" / name / "contents/images"
        photos.append(Photograph(name, max(folder.iterdir(), key=lambda path: path.stat().st_size)))
    missing = [str(photo.path) for photo in photos if not photo.path.exists()]
    if missing:
        raise SystemExit(f"photographs are missing: {missing}")
    return photos


def clean_crops(photo: Photograph, count: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [count, 320, 320, 3]: shrunk by area averaging where the picture allows it, which removes its encoding history."""
    with Image.open(photo.path) as opened:
        picture = opened.convert("RGB")
    out = []
    for _ in range(count):
        least = CROP / min(picture.size)
        scale = 1.0 if least >= 0.9 else rng.uniform(max(0.25, least), max(0.6, least))
        size = [max(CROP, round(side * scale)) for side in picture.size]
        shrunk = picture.resize(size, Image.Resampling.BOX) if scale < 1 else picture.resize(size, Image.Resampling.LANCZOS)
        x, y = (int(rng.integers(0, side - CROP + 1)) for side in size)
        out.append(np.asarray(shrunk.crop((x, y, x + CROP, y + CROP))))
    return np.stack(out)


def resample(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An honest edit: the picture is scaled up or down by an ordinary filter, then cut back or mirrored to 320 px."""
    method = Image.Resampling(int(rng.choice([0, 1, 2, 3, 4, 5])))
    scale = float(rng.choice([rng.uniform(0.5, 0.95), rng.uniform(1.1, 2.5), 2.0]))
    image = Image.fromarray(crop)
    side = round(CROP * scale)
    if scale >= 1:
        inner = round(CROP / scale)
        x, y = (int(rng.integers(0, CROP - inner + 1)) for _ in range(2))
        return np.asarray(image.crop((x, y, x + inner, y + inner)).resize((CROP, CROP), method))
    small = np.asarray(image.resize((side, side), method))
    return np.pad(small, ((0, CROP - side), (0, CROP - side), (0, 0)), mode="reflect")


def publish(crop: np.ndarray, rng: np.random.Generator, side: int, resized: float = 0.3, scales: tuple[float, float] = (0.6, 1.4)) -> np.ndarray:
    """What happens to any picture before it is uploaded: sharpening or blur, a resize (`resized` of them), noise, JPEG. Same odds for both classes.

    Returns uint8 [side, side, 3] cut at a random place, so that the JPEG grid says nothing.
    """
    image = Image.fromarray(crop)
    roll = rng.random()
    if roll < 0.15:
        image = blurred(image, float(rng.uniform(0.3, 0.9)))
    elif roll < 0.3:
        image = image.filter(ImageFilter.UnsharpMask(1.5, int(rng.integers(30, 90)), 2))
    if rng.random() < resized:
        new = max(side + 8, round(image.width * float(rng.uniform(*scales))))
        image = image.resize((new, new), Image.Resampling(int(rng.choice([1, 2, 3, 4]))))
    if rng.random() < 0.2:
        image = grainy(image, rng.uniform(0.5, 4), rng)
    if rng.random() < 0.75:
        image = jpeg(image, int(rng.integers(60, 99)))
    x, y = (int(rng.integers(0, image.width - side + 1)) for _ in range(2))
    return np.asarray(image)[y : y + side, x : x + side]
