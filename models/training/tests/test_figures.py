"""Calibration, thresholds and the figures of a card."""

import unittest

import numpy as np

from detectors import calibration, metrics


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


class Figures(unittest.TestCase):
    def test_auc_by_hand(self) -> None:
        for scores, expected in [([0.1, 0.2, 0.3, 0.4], 1.0), ([0.4, 0.3, 0.2, 0.1], 0.0), ([0.5] * 4, 0.5), ([0.1, 0.3, 0.2, 0.4], 0.75)]:
            with self.subTest(scores=scores):
                self.assertEqual(metrics.auc(np.array(scores), np.array([0, 0, 1, 1])), expected)

    def test_paired_auc_ignores_differences_between_sources(self) -> None:
        scores, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([1, 0, 1, 0])
        sources = np.array(["a", "a", "b", "b"])
        self.assertEqual(metrics.macro_paired_auc(scores, labels, sources), 0.0)
        self.assertEqual(metrics.auc(scores, labels), 0.25)

    def test_eer_of_overlapping_normals(self) -> None:
        logits, labels = normal(4, 2.0)
        self.assertAlmostEqual(metrics.eer(logits, labels), 0.159, delta=0.02)

    def test_ece_of_honest_and_of_boastful_scores(self) -> None:
        logits, labels = normal(5, 2.0)
        self.assertLess(metrics.ece(calibration.sigmoid(2 * logits - 2), labels), 0.04)
        self.assertGreater(metrics.ece(calibration.sigmoid(20 * logits - 20), labels), 0.1)

    def test_abstaining_counts_only_answers(self) -> None:
        scores, labels = np.array([0.1, 0.5, 0.9, 0.5]), np.array([0, 0, 1, 1])
        self.assertEqual(metrics.answered_accuracy(0.2, 0.8)(scores, labels, labels), 1.0)
        self.assertEqual(metrics.coverage(0.2, 0.8)(scores, labels, labels), 0.5)

    def test_interval_is_wider_when_files_share_sources(self) -> None:
        logits, labels = normal(6, 1.0, 400)
        lone = metrics.bootstrap(metrics.auc, logits, labels, np.arange(400), rounds=200)
        shared = metrics.bootstrap(metrics.auc, logits + np.arange(400) // 100, labels, np.arange(400) // 100, rounds=200)
        self.assertLess(lone[1], lone[0])
        self.assertGreater(shared[2] - shared[1], 0)

    def test_control_sees_leaking_metadata_and_nothing_else(self) -> None:
        labels = np.arange(200) % 2
        groups = np.arange(200) // 10
        noise = np.random.default_rng(7).standard_normal((200, 2))
        leaking = np.column_stack([noise[:, 0], labels + 0.1 * noise[:, 1]])
        self.assertGreater(metrics.auc(metrics.control_scores(leaking, labels, groups), labels), 0.95)
        self.assertAlmostEqual(metrics.auc(metrics.control_scores(noise, labels, groups), labels), 0.5, delta=0.15)


if __name__ == "__main__":
    unittest.main()
