"""Calibration and thresholds."""

import unittest

import numpy as np

from detectors import calibration


def normal(seed: int, apart: float, count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.standard_normal(count) + apart * labels, labels


class Platt(unittest.TestCase):
    def test_finds_the_known_optimum(self) -> None:
        logits, labels = normal(1, 2.0)
        slope, intercept = calibration.platt(logits, labels)
        self.assertAlmostEqual(slope, 2.0, delta=0.25)
        self.assertAlmostEqual(intercept, -2.0, delta=0.25)

    def test_stays_finite_on_separable_data(self) -> None:
        slope, intercept = calibration.platt(np.array([-9.0, -8, 8, 9]), np.array([0, 0, 1, 1]))
        self.assertTrue(0 < slope < 50 and abs(intercept) < 10)

    def test_class_sizes_do_not_move_it(self) -> None:
        logits, labels = normal(2, 2.0)
        kept = (labels == 1) | (np.arange(len(labels)) % 10 == 0)
        self.assertAlmostEqual(calibration.platt(logits, labels)[1], calibration.platt(logits[kept], labels[kept])[1], delta=0.35)


class Thresholds(unittest.TestCase):
    def test_error_rates_hold(self) -> None:
        for apart in (0.5, 1.5, 6.0):
            with self.subTest(apart=apart):
                logits, labels = normal(3, apart)
                scores = calibration.sigmoid(logits - apart / 2)
                low, high = calibration.thresholds(scores, labels)
                self.assertLess(low, high)
                self.assertLessEqual((scores[labels == 0] >= high).mean(), 0.051)
                self.assertLessEqual((scores[labels == 1] <= low).mean(), 0.051)


if __name__ == "__main__":
    unittest.main()
