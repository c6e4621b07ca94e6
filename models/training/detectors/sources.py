"""Fetches the media packages that `media-sources.json` pins, and decodes what lies in them.

Packages are downloaded and unpacked into the cache, never installed; a byte that differs from the pin is refused.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from detectors.windows import SAMPLE_RATE

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"


def fetch() -> Path:
    """Folder that holds one sub-folder per unpacked package."""
    unpacked = CACHE / "media"
    for package in json.loads((ROOT / "media-sources.json").read_text())["packages"]:
        target = unpacked / package["name"]
        if (target / ".complete").exists():
            continue
        downloads = CACHE / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        print(f"fetching {package['name']} {package['version']}", flush=True)
        subprocess.run(
            ["apt-get", "-qq", "download", f"{package['name']}={package['version']}"], cwd=downloads, check=True
        )
        archive = next(downloads.glob(f"{package['name']}_*.deb"))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != package["sha256"]:
            raise SystemExit(f"{archive.name}: sha256 is {digest}, media-sources.json pins {package['sha256']}")
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
        archive.unlink()
        (target / ".complete").touch()
    return unpacked


def image(path: Path) -> np.ndarray:
    """uint8 [H, W, 3], RGB, EXIF orientation applied, alpha dropped, native resolution."""
    with Image.open(path) as opened:
        turned = ImageOps.exif_transpose(opened)
        return np.asarray(turned.convert("RGBA").convert("RGB"))


def audio(path: Path, *options: str) -> np.ndarray:
    """float32 [T], mono, 16 kHz, decoded by ffmpeg; `options` go before the input (a raw format's description)."""
    command = ["ffmpeg", "-v", "error", "-nostdin", *options, "-i", str(path)]
    command += ["-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32).copy()


def save_flac(samples: np.ndarray, path: Path) -> None:
    """Writes float32 [T] at 16 kHz as 16-bit FLAC, without a time stamp or an encoder's name."""
    pcm = (np.clip(samples, -1, 1) * 32_767).round().astype("<i2").tobytes()
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "-"]
    subprocess.run([*command, "-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1", str(path)], input=pcm, check=True)
