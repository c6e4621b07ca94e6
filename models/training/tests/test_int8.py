"""What smaller numbers cost, and when they are not worth it."""

import unittest

import numpy as np

from detectors import int8
from detectors.int8 import Cost

PLAIN = {"method": "none"}
LABELS = np.array([0, 0, 1, 1])
LOGITS = np.array([-3.0, -1.0, 1.0, 3.0])


class Costs(unittest.TestCase):
    def test_the_same_logits_cost_nothing(self) -> None:
        self.assertEqual(int8.cost_of(LOGITS, LOGITS, LABELS, PLAIN), Cost(0.0, 0.0, 0.0, 0.0))

    def test_ranking_calibration_and_the_furthest_score_are_told_apart(self) -> None:
        swapped = np.array([-3.0, 1.0, -1.0, 3.0])
        cost = int8.cost_of(LOGITS, swapped, LABELS, PLAIN)
        self.assertAlmostEqual(cost.auc, 0.25)
        self.assertGreater(cost.ece, 0.1)
        self.assertAlmostEqual(cost.furthest, 2 / (1 + np.exp(-1.0)) - 1)
        self.assertAlmostEqual(cost.mean, cost.furthest / 2)

    def test_a_value_that_is_not_finite_is_an_error(self) -> None:
        with self.assertRaisesRegex(ValueError, "not finite"):
            int8.cost_of(LOGITS, np.array([0, 0, 0, np.nan]), LABELS, PLAIN)


class Refusal(unittest.TestCase):
    def test_is_given_for_lost_ranking_and_for_golden_files_that_move(self) -> None:
        fine, bad = Cost(0.009, 0.2, 0.3, 0.1), Cost(0.011, 0.0, 0.0, 0.0)
        rows = [
            ({"a": fine}, 0.05, None),
            ({"a": fine, "b": bad}, 0.0, "b: the AUC falls by 0.011, more than 0.01"),
            ({"a": Cost(float("nan"), 0, 0, 0)}, 0.0, "a: the AUC falls by nan"),
            ({"a": fine}, 0.09, "the score of a golden file moves by 0.090, more than 0.08"),
            ({"a": fine}, float("nan"), "the score of a golden file moves by nan"),
        ]
        for costs, moved, expected in rows:
            with self.subTest(expected=expected):
                found = int8.refusal(costs, moved)
                if expected is None:
                    self.assertIsNone(found)
                else:
                    self.assertIn(expected, found or "")


if __name__ == "__main__":
    unittest.main()
