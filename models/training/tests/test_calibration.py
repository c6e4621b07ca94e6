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


class Temperature(unittest.TestCase):
    def test_finds_how_much_too_sure_logits_are(self) -> None:
        logits, labels = normal(4, 2.0)
        for factor in (0.5, 1.0, 3.0):
            with self.subTest(factor=factor):
                self.assertAlmostEqual(calibration.temperature(factor * (2 * logits - 2), labels) / factor, 1.0, delta=0.1)

    def test_stays_in_its_range_on_separable_and_on_useless_data(self) -> None:
        self.assertAlmostEqual(calibration.temperature(np.array([-9.0, 9.0]), np.array([0, 1])), 0.05, places=3)
        self.assertAlmostEqual(calibration.temperature(np.array([9.0, -9.0]), np.array([0, 1])), 20, places=3)


class Isotonic(unittest.TestCase):
    def test_pools_what_is_out_of_order(self) -> None:
        # Two reals and two fakes: targets 1/4 and 3/4, equal weights; the middle pair is in the wrong order.
        points = calibration.isotonic(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))
        self.assertEqual(points, [(-2.0, 0.25), (-1.0, 0.5), (1.0, 0.5), (2.0, 0.75)])

    def test_equal_logits_are_one_place(self) -> None:
        points = calibration.isotonic(np.array([0.0, 0.0, 1.0]), np.array([0, 1, 1]))
        self.assertEqual([place for place, _ in points], [0.0, 1.0])

    def test_rises_stays_inside_and_has_few_points(self) -> None:
        logits, labels = normal(5, 1.0)
        fit = calibration.fitted("isotonic", logits, labels)["points"]
        places, values = [p["logit"] for p in fit], [p["score"] for p in fit]
        self.assertTrue(2 <= len(fit) <= calibration.MOST_POINTS)
        self.assertTrue(all(a < b for a, b in zip(places, places[1:])))
        self.assertTrue(all(a <= b for a, b in zip(values, values[1:])) and 0 < values[0] and values[-1] < 1)

    def test_logits_that_are_all_the_same_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "logits that differ"):
            calibration.isotonic(np.zeros(4), np.array([0, 1, 0, 1]))


class Calibrated(unittest.TestCase):
    def test_scores_by_method(self) -> None:
        table = {"method": "isotonic", "points": [{"logit": -1, "score": 0.2}, {"logit": 1, "score": 0.6}]}
        rows = [
            ({"method": "none"}, 2, 0.880797),
            ({"method": "temperature", "temperature": 2}, 2, 0.731059),
            ({"method": "platt", "slope": 2, "intercept": -1}, 1, 0.731059),
            (table, 0.5, 0.5),
            (table, -9, 0.2),
            (table, 9, 0.6),
        ]
        for fit, logit, expected in rows:
            with self.subTest(fit=fit, logit=logit):
                self.assertAlmostEqual(float(calibration.calibrated(np.array([logit]), fit)[0]), expected, places=6)

    def test_unknown_methods_and_one_class_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "'beta' is not"):
            calibration.calibrated(np.zeros(1), {"method": "beta"})
        with self.assertRaisesRegex(ValueError, "both classes; there are 2 reals and 0 fakes"):
            calibration.temperature(np.zeros(2), np.zeros(2, int))


class Compared(unittest.TestCase):
    def test_each_method_repairs_what_it_can(self) -> None:
        logits, labels = normal(6, 2.0)
        boastful, groups = 6 * logits - 6, np.arange(len(labels)) // 4
        first = groups < 500
        found = {c.method: c for c in calibration.compared(boastful[first], labels[first], groups[first], boastful[~first], labels[~first], groups[~first])}
        self.assertEqual(found["none"].ece, found["platt"].before)
        for method in ("temperature", "platt", "isotonic"):
            with self.subTest(method=method):
                self.assertLess(found[method].ece, found[method].before / 2)
                self.assertLess(found[method].brier, found["none"].brier)
        self.assertEqual(found["temperature"].auc, found["none"].auc)

    def test_a_shared_source_is_refused(self) -> None:
        logits, labels = normal(7, 1.0, 8)
        with self.assertRaisesRegex(ValueError, "1 sources are in the calibration and in the test: b"):
            calibration.compared(logits[:4], labels[:4], np.array(list("aabb")), logits[4:], labels[4:], np.array(list("bccc")))


class Choice(unittest.TestCase):
    def groups(self, count: int, sources: int = 12) -> np.ndarray:
        return np.array([f"s{i // 2 % sources}" for i in range(count)])

    def test_falls_on_what_suits_the_logits(self) -> None:
        logits, labels = normal(5, 2.0)
        for name, shown, expected in (
            ("that are right already", 2 * logits - 2, {"none", "temperature", "platt"}),
            ("that are too sure", 6 * (2 * logits - 2), {"temperature", "platt"}),
            ("that are biased", 2 * logits + 3, {"platt"}),
            ("that are bent", np.where(logits > 1, 40 * (logits - 1), logits - 1), {"isotonic"}),
        ):
            with self.subTest(name):
                method, errors = calibration.chosen(shown, labels, self.groups(len(labels)))
                self.assertIn(method, expected)
                self.assertEqual(errors[method], min(errors.values()))

    def test_the_first_of_equals_is_taken_and_only_those_asked_for(self) -> None:
        logits, labels = normal(6, 1.0)
        groups = self.groups(len(labels))
        self.assertEqual(calibration.chosen(logits, labels, groups, methods=("platt",))[0], "platt")
        self.assertEqual(calibration.chosen(logits, labels, groups, methods=("none", "none"))[0], "none")

    def test_sources_are_scored_by_fits_without_them(self) -> None:
        # Inside each source one cut is perfect, and it says nothing of the others: a fit that saw its own source would look perfect.
        groups = np.repeat(["a", "b"], 20)
        labels = np.tile([0, 1], 20)
        logits = np.where(groups == "a", 1, -1) * np.where(labels == 1, 1.0, -1.0)
        _, errors = calibration.chosen(logits, labels, groups)
        self.assertGreater(errors["isotonic"], 0.5)

    def test_one_source_and_one_class_are_errors(self) -> None:
        logits, labels = normal(7, 1.0, 40)
        with self.assertRaisesRegex(ValueError, "two sources"):
            calibration.chosen(logits, labels, np.repeat("a", 40))
        with self.assertRaisesRegex(ValueError, "both classes"):
            calibration.chosen(logits, np.zeros(40), self.groups(40))


if __name__ == "__main__":
    unittest.main()
