"""From rows of a graph to scores: the rules that the pod has, too."""

import unittest

import numpy as np

from importer.meaning import logit_of, score_of, score_of_rows

NONE = {"method": "none"}


class Scores(unittest.TestCase):
    def test_scores_by_meaning(self) -> None:
        for name, row, output, calibration, expected in [
            ("a logit of a fake", [0.0], {"positive": "fake", "activation": "sigmoid"}, NONE, 0.5),
            ("a logit of the real", [2.0], {"positive": "real", "activation": "sigmoid"}, NONE, 0.1192),
            ("two logits, the second one real", [0.0, 2.0], {"positive": "real", "activation": "softmax", "index": 1}, NONE, 0.1192),
            ("three logits", [0.0, 0.0, 0.0], {"positive": "fake", "activation": "softmax", "index": 2}, NONE, 1 / 3),
            ("a probability of the real", [0.9], {"positive": "real", "activation": "none"}, NONE, 0.1),
            ("a temperature", [2.0], {"positive": "fake", "activation": "sigmoid"}, {"method": "temperature", "temperature": 2.0}, 0.7311),
            ("Platt on the side of fakes", [2.0], {"positive": "real", "activation": "sigmoid"}, {"method": "platt", "slope": 2.0, "intercept": 4.0}, 0.5),
        ]:
            with self.subTest(name):
                self.assertAlmostEqual(score_of(logit_of(np.float32(row), output), output, calibration), expected, places=4)

    def test_parts_count_by_their_mean_logit(self) -> None:
        output = {"positive": "fake", "activation": "sigmoid"}
        self.assertAlmostEqual(score_of_rows(np.float32([[-1.0], [3.0]]), output, NONE), 0.7311, places=4)

    def test_what_is_no_probability_is_no_score(self) -> None:
        output = {"positive": "fake", "activation": "none"}
        self.assertTrue(np.isnan(logit_of(np.float32([1.5]), output)))
