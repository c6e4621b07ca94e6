"""Makes test/fixtures/media again: two natural files that no detector was trained on, and a fake of each kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors import audio_data, audio_fakes, image_data, image_fakes, package, sources
from detectors.windows import SAMPLE_RATE, tiles, windows

FOLDER = package.MODELS.parent / "test" / "fixtures" / "media"
SENTENCE = "Hello, this is your bank. Please read me the six digits on your card, so that I can cancel the payment."


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    portrait = next(photo for photo in image_data.photographs() if photo.name == "astronaut")
    pixels = sources.image(portrait.path)
    save(pixels, FOLDER / "photograph-real.jpg")
    torch.manual_seed(0)
    generator = image_fakes.recall("bilinear", sources.CACHE / "generators")
    if generator is None:
        raise SystemExit("the generator has not been trained yet: run models/training/run image first")
    save(image_fakes.rebuild(generator, pixels[None], np.random.default_rng(0))[0], FOLDER / "photograph-fake.jpg")

    prompts = next(speaker for speaker in audio_data.speakers() if speaker.name == "asterisk-ru").files
    greeting = next(path for path in prompts if path.stem == "demo-congrats")
    sources.save_flac(sources.audio(greeting, "-f", "g722")[: 5 * SAMPLE_RATE], FOLDER / "voice-real.flac")
    spoken = sources.CACHE / "spoken.wav"
    audio_fakes.speak(audio_fakes.ENGINE_HELD_OUT, "en", SENTENCE, spoken, np.random.default_rng(0))
    sources.save_flac(sources.audio(spoken)[: 6 * SAMPLE_RATE] * 0.8, FOLDER / "voice-fake.flac")
    for path in sorted(FOLDER.glob("*.[jf]*")):
        name, read = ("image-residual-cnn", lambda p: tiles(sources.image(p)))
        if path.suffix == ".flac":
            name, read = ("audio-spectrogram-cnn", lambda p: windows(sources.audio(p)))
        score, verdict = package.judge(package.MODELS / name, read(path))
        print(f"{path.name}: {path.stat().st_size} bytes, score {score:.3f} {verdict}")


def save(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path, "JPEG", quality=90, optimize=True)


if __name__ == "__main__":
    main()
