"""How media is cut: the rules that the inference pod shares."""

import unittest

import numpy as np

from detectors import windows


class TileOrigins(unittest.TestCase):
    def test_origins_by_side(self) -> None:
        for side, expected in [(256, [0]), (257, [0, 1]), (512, [0, 256]), (513, [0, 129, 257]), (700, [0, 222, 444]), (4000, [0, 1872, 3744])]:
            with self.subTest(side=side):
                self.assertEqual(windows.tile_origins(side), expected)


class Tiles(unittest.TestCase):
    def test_counts_by_size(self) -> None:
        for height, width, expected in [(128, 128, 1), (256, 300, 2), (600, 600, 9), (200, 5000, 3)]:
            with self.subTest(height=height, width=width):
                cut = windows.tiles(np.zeros((height, width, 3), np.uint8))
                self.assertEqual(cut.shape, (expected, 3, 256, 256))

    def test_short_side_is_mirrored_at_its_end(self) -> None:
        picture = np.zeros((256, 200, 3), np.uint8)
        picture[:, 198] = 7
        cut = windows.tiles(picture)
        self.assertTrue((cut[0, :, :, 200] == 7).all())

    def test_channels_come_first_and_rows_before_columns(self) -> None:
        picture = np.zeros((256, 512, 3), np.uint8)
        picture[:, 256:, 1] = 9
        cut = windows.tiles(picture)
        self.assertEqual((cut[0].max(), cut[1, 1].min(), cut[1, 0].max()), (0, 9, 0))

    def test_too_small_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "127 px"):
            windows.tiles(np.zeros((127, 400, 3), np.uint8))


class Sound(unittest.TestCase):
    def test_silence_is_trimmed_by_frames(self) -> None:
        sound = np.zeros(16_000, np.float32)
        sound[5_000:9_000] = 0.5
        sound[1_000] = 0.5 * 10 ** (-51 / 20)
        self.assertEqual(windows.trim(sound).size, 9_280 - 4_800)

    def test_window_starts_by_length(self) -> None:
        for length, expected in [(32_000, [0]), (32_001, [0, 1]), (48_000, [0, 16_000]), (60_000, [0, 16_000, 28_000])]:
            with self.subTest(length=length):
                self.assertEqual(windows.window_starts(length), expected)

    def test_short_clips_repeat_at_the_target_peak(self) -> None:
        cut = windows.windows(np.linspace(0.1, 0.2, 20_000, dtype=np.float32))
        self.assertEqual(cut.shape, (1, 32_000))
        self.assertAlmostEqual(float(cut.max()), 0.95, places=5)
        self.assertEqual(cut[0, 20_000], cut[0, 0])

    def test_only_the_first_minute_counts(self) -> None:
        self.assertEqual(len(windows.windows(np.ones(80 * 16_000, np.float32))), 59)

    def test_too_little_sound_is_refused(self) -> None:
        for sound in (np.zeros(64_000, np.float32), np.ones(15_000, np.float32)):
            with self.assertRaisesRegex(ValueError, "s of sound"):
                windows.windows(sound)


if __name__ == "__main__":
    unittest.main()
