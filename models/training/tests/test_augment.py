"""What happens to media on its way: shapes kept, what is asked for done, the same seed the same bytes."""

import shutil
import unittest

import numpy as np

try:
    from PIL import Image

    from detectors import augment
except ImportError:
    augment = None

RATE = 16_000
needs_ffmpeg = unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg is not installed")


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    down, across = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(1).normal(0, 12, (height, width, 3))
    return np.clip(np.stack([down * 2, across, down + across], 2) + noise, 0, 255).astype(np.uint8)


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def decibels(after: np.ndarray, before: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(after.astype(float) ** 2) / np.mean(before.astype(float) ** 2)))


@unittest.skipUnless(augment, "Pillow and scipy are not installed: models/training/run sets them up")
class Pictures(unittest.TestCase):
    def test_lower_quality_is_further_away(self) -> None:
        image = Image.fromarray(picture())
        apart = [np.abs(np.asarray(augment.jpeg(image, q), float) - picture()).mean() for q in (95, 75, 50, 30)]
        self.assertEqual(apart, sorted(apart))
        self.assertGreater(apart[0], 0)

    def test_the_grid_keeps_pictures_and_scales_their_sides(self) -> None:
        for name, step in augment.IMAGE_GRID.items():
            with self.subTest(step=name):
                scale = float(name.split()[1]) if name.startswith("resize") else 1
                made = step(picture(), np.random.default_rng(0))
                self.assertEqual((made.shape, made.dtype), ((round(96 * scale), round(128 * scale), 3), np.uint8))
                self.assertFalse(scale == 1 and np.array_equal(made, picture()))

    def test_noise_is_grey_of_the_asked_strength_and_seeded(self) -> None:
        flat = Image.fromarray(np.full((128, 128, 3), 128, np.uint8))
        made = np.asarray(augment.grainy(flat, 5, np.random.default_rng(2)), float)
        self.assertAlmostEqual(made.std(), 5, delta=0.2)
        self.assertTrue((made[..., 0] == made[..., 2]).all())
        self.assertTrue(np.array_equal(made, np.asarray(augment.grainy(flat, 5, np.random.default_rng(2)))))

    @needs_ffmpeg
    def test_h264_keeps_every_frame_and_its_place(self) -> None:
        frames = np.stack([np.roll(picture(97, 129), 8 * i, 1) for i in range(5)])
        fine, coarse = (np.abs(augment.h264(frames, crf).astype(float) - frames[:, :96, :128]).mean() for crf in (18, 40))
        self.assertTrue(0 < fine < coarse < 40, (fine, coarse))
        self.assertTrue(np.array_equal(augment.h264(frames, 30), augment.h264(frames, 30)))

    def test_frames_of_another_shape_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, r"uint8 \[N, H, W, 3\], not uint8 \(96, 128, 3\)"):
            augment.h264(picture(), 23)


@unittest.skipUnless(augment, "Pillow and scipy are not installed: models/training/run sets them up")
class Sound(unittest.TestCase):
    def test_a_telephone_carries_its_band_alone(self) -> None:
        for hertz, heard in [(100, False), (1000, True), (2500, True), (5000, False)]:
            with self.subTest(hertz=hertz):
                made = augment.telephone(tone(hertz))
                self.assertEqual(made.shape, (RATE,))
                self.assertEqual(decibels(made, tone(hertz)) > -3, heard)

    def test_noise_lies_the_asked_decibels_below(self) -> None:
        noise = np.random.default_rng(1).standard_normal(RATE)
        for level in (10, 30):
            with self.subTest(decibels=level):
                made = augment.with_noise(tone(440), noise, level)
                self.assertAlmostEqual(decibels(made - tone(440), tone(440)), -level, delta=0.1)

    def test_a_room_goes_on_after_the_sound_and_dies_down(self) -> None:
        click = np.zeros(RATE, np.float32)
        click[100] = 1
        made = augment.reverberant(click, 0.5, np.random.default_rng(3))
        parts = [np.sum(made[a : a + 1600].astype(float) ** 2) for a in (101, 3200, 6400)]
        self.assertTrue(parts[0] > parts[1] > parts[2] > 0, parts)
        self.assertAlmostEqual(10 * np.log10(made[100].astype(float) ** 2 / np.sum(made[101:].astype(float) ** 2)), 5, delta=0.1)
        self.assertEqual(float(np.abs(made[:100]).max()) < 1e-4, True)
        self.assertTrue(np.array_equal(made, augment.reverberant(click, 0.5, np.random.default_rng(3))))

    @needs_ffmpeg
    def test_every_codec_keeps_length_and_tone(self) -> None:
        for codec in augment.CODECS:
            with self.subTest(codec=codec):
                made = augment.coded(tone(440), codec)
                self.assertEqual((made.shape, made.dtype), ((RATE,), np.float32))
                self.assertEqual(np.argmax(np.abs(np.fft.rfft(made))), 440)

    @needs_ffmpeg
    def test_the_grid_changes_sound_and_keeps_its_length(self) -> None:
        for name, step in augment.SOUND_GRID.items():
            with self.subTest(step=name):
                made = step(tone(440), np.random.default_rng(0))
                self.assertEqual((made.shape, made.dtype), ((RATE,), np.float32))
                self.assertFalse(np.array_equal(made, tone(440)))

    @needs_ffmpeg
    def test_a_codec_that_ffmpeg_refuses_says_why(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "ffmpeg .*No such file"):
            augment.ffmpeg(["-i", "/nowhere/at/all.wav", "-f", "null", "-"])


if __name__ == "__main__":
    unittest.main()
