"""Statistics of images: the same numbers from the pod's own code."""

import json
import os
import subprocess
import unittest
from pathlib import Path

import numpy as np

from detectors import image_statistics

ROOT = Path(__file__).resolve().parents[3]
NODE = Path(os.environ.get("DEEPFAKE_NODE", ROOT / "node_modules" / ".bin" / "node"))
POD = """
import { readFileSync } from 'node:fs';
import { inputStatisticsOf } from './inference/dsp/input-statistics.ts';
import { lumaPatches } from './inference/dsp/luma-patches.ts';
const pictures = JSON.parse(readFileSync(0, 'utf8'));
const found = pictures.map(({ data, width, height }) => inputStatisticsOf(lumaPatches({ data: Uint8Array.from(data), width, height })));
console.log(JSON.stringify(found));
"""


def noisy(height: int, width: int, deviation: float) -> np.ndarray:
    rng = np.random.default_rng(height)
    return np.clip(128 + deviation * rng.standard_normal((height, width, 3)), 0, 255).astype(np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    wave = 128 + 60 * np.sin(x / 20) * np.cos(y / 25)
    return np.repeat(wave.astype(np.uint8)[..., None], 3, 2)


def blocks(height: int, width: int) -> np.ndarray:
    return np.kron(noisy(-(-height // 8), -(-width // 8), 40), np.ones((8, 8, 1), np.uint8))[:height, :width]


PICTURES = {
    "noise": noisy(200, 300, 6), "saturated noise": noisy(64, 64, 90), "a smooth picture": smooth(130, 900), "blocks": blocks(256, 203),
    "a small one": noisy(40, 90, 3), "one of one colour": np.full((70, 70, 3), 255, np.uint8), "a large one": noisy(1000, 830, 12),
}


class Statistics(unittest.TestCase):
    def test_say_what_they_are_about(self) -> None:
        found = {name: dict(zip(image_statistics.NAMES, image_statistics.statistics(pixels))) for name, pixels in PICTURES.items()}
        self.assertAlmostEqual(found["noise"]["log_noise"], np.log10(6 * np.linalg.norm(image_statistics.LUMA)), delta=0.05)
        self.assertAlmostEqual(found["noise"]["spectrum_slope"], -2, delta=0.15)
        self.assertGreater(found["a smooth picture"]["spectrum_slope"], 1)
        self.assertGreater(found["blocks"]["blockiness"], 5)
        self.assertLess(abs(found["noise"]["blockiness"]), 0.1)
        self.assertEqual(found["one of one colour"]["saturated_share"], 1)

    @unittest.skipUnless(NODE.exists(), "the pod's code needs node_modules: npm ci")
    def test_are_those_of_the_pod(self) -> None:
        pictures = [{"data": pixels.reshape(-1).tolist(), "height": pixels.shape[0], "width": pixels.shape[1]} for pixels in PICTURES.values()]
        command = [str(NODE), "--input-type=module", "-e", POD]
        ended = subprocess.run(command, cwd=ROOT, input=json.dumps(pictures), capture_output=True, text=True, check=True)
        for (name, pixels), expected in zip(PICTURES.items(), json.loads(ended.stdout), strict=True):
            with self.subTest(name):
                self.assertEqual(list(expected), list(image_statistics.NAMES))
                np.testing.assert_allclose(image_statistics.statistics(pixels), list(expected.values()), atol=2e-4)


if __name__ == "__main__":
    unittest.main()
