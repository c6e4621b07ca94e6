"""The reference preprocessing of golden files."""

import unittest

import numpy as np

from importer.errors import ImportRefused
from importer.reading import normalised, parts_of, windows


class Windows(unittest.TestCase):
    def test_starts_by_length(self) -> None:
        for length, expected in [(10, [0]), (11, [0, 1]), (14, [0, 4]), (15, [0, 4, 5])]:
            with self.subTest(length=length):
                self.assertEqual(windows(np.arange(length, dtype=np.float32), 10, 4, "repeat")[:, 0].tolist(), expected)

    def test_short_sound_is_repeated_or_followed_by_silence(self) -> None:
        sound = np.float32([1, 2, 3])
        self.assertEqual(windows(sound, 7, 4, "repeat").tolist(), [[1, 2, 3, 1, 2, 3, 1]])
        self.assertEqual(windows(sound, 5, 4, "zero-pad").tolist(), [[1, 2, 3, 0, 0]])


class Pixels(unittest.TestCase):
    def test_numbers_by_channels_and_layout(self) -> None:
        pixels = np.uint8([[[10, 20, 30]]])
        common = {"scale": 0.1, "mean": [1.0, 0.0, 0.0], "std": [1.0, 2.0, 1.0]}
        for channels, layout, expected in [("rgb", "nhwc", [[[0, 1, 3]]]), ("bgr", "nhwc", [[[2, 1, 1]]]), ("rgb", "nchw", [[[0]], [[1]], [[3]]])]:
            with self.subTest(channels=channels, layout=layout):
                np.testing.assert_allclose(normalised(pixels, {**common, "channels": channels, "layout": layout}), expected, atol=1e-6)


class Refused(unittest.TestCase):
    def test_a_golden_file_that_only_the_pod_reads(self) -> None:
        from pathlib import Path

        with self.assertRaisesRegex(ImportRefused, "video-faces can only be read by the pod"):
            parts_of(Path(__file__), {"type": "video-faces"})
