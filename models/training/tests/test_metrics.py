"""The figures of an evaluation, against values worked out by hand and, where it is installed, against scikit-learn."""

import math
import unittest

import numpy as np

from detectors import calibration, metrics

try:
    from sklearn import metrics as reference
except ImportError:
    reference = None

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.2])
LABELS = np.array([1, 1, 0, 1, 0, 0])
LONE = np.arange(6)


def normal(seed: int, apart: float, count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.standard_normal(count) + apart * labels, labels


class ByHand(unittest.TestCase):
    def test_one_real_above_one_fake(self) -> None:
        # Descending: F F R F R R. Eight of nine pairs are in order; precision at the fakes is 1/1, 2/2, 3/4.
        rows: list[tuple[str, metrics.Metric, float]] = [
            ("AUC", metrics.auc, 8 / 9),
            ("average precision", metrics.average_precision, (1 + 1 + 3 / 4) / 3),
            ("EER", metrics.eer, 1 / 3),
            ("FPR at 95 % TPR", metrics.fpr_at_tpr(0.95), 1 / 3),
            ("FPR at 60 % TPR", metrics.fpr_at_tpr(0.6), 0),
            ("TPR at 1 % FPR", metrics.tpr_at_fpr(0.01), 2 / 3),
            ("TPR at 1/3 FPR", metrics.tpr_at_fpr(1 / 3), 1),
            ("accuracy", metrics.accuracy(0.5), 5 / 6),
            ("accuracy at a cut that is a score", metrics.accuracy(0.7), 4 / 6),
            ("balanced accuracy", metrics.balanced_accuracy(0.75), (2 / 3 + 1) / 2),
            ("precision", metrics.precision(0.5), 3 / 4),
            ("recall", metrics.recall(0.75), 2 / 3),
            ("F1", metrics.f1(0.5), 6 / 7),
            ("Brier", metrics.brier, (0.01 + 0.04 + 0.49 + 0.16 + 0.16 + 0.04) / 6),
            # Five bins: .2 (1 real), .4 (1 real), .6 and .7 (half fake, mean .65), .8 and .9 (all fake, mean .85).
            ("ECE", lambda s, l, g: metrics.ece(s, l, g, bins=5), (0.2 + 0.4 + 2 * 0.15 + 2 * 0.15) / 6),
            ("MCE", lambda s, l, g: metrics.mce(s, l, g, bins=5), 0.4),
            # Surest first: .9, (.8 and .2), .7 wrong, (.6 and .4).
            ("AURC", metrics.aurc, (0 + 0 + 0 + 1 / 4 + 1 / 5 + 1 / 6) / 6),
            ("answered accuracy", metrics.answered_accuracy(0.3, 0.65), (1 + 1 / 2) / 2),
            ("coverage", metrics.coverage(0.3, 0.65), 4 / 6),
        ]
        for name, metric, expected in rows:
            with self.subTest(figure=name):
                self.assertAlmostEqual(metric(SCORES, LABELS, LONE), expected, places=12)

    def test_auc_and_average_precision_of_ties(self) -> None:
        tied = np.array([0.5, 0.5, 0.5, 0.5])
        labels = np.array([1, 0, 0, 0])
        self.assertEqual(metrics.auc(tied, labels), 0.5)
        self.assertEqual(metrics.average_precision(tied, labels), 0.25)

    def test_roc_has_one_point_for_each_score(self) -> None:
        alarms, hits, cuts = metrics.roc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1, 1, 0, 0]))
        self.assertEqual(alarms.tolist(), [0, 0, 0.5, 1])
        self.assertEqual(hits.tolist(), [0, 0.5, 1, 1])
        self.assertEqual(cuts.tolist(), [math.inf, 0.9, 0.5, 0.1])

    def test_reliability_bins_hold_their_lower_edge_and_the_last_one_its_upper(self) -> None:
        bins = metrics.reliability(np.array([0.0, 0.5, 1.0]), np.array([0, 1, 1]), bins=2)
        self.assertEqual([(b.low, b.count, b.score, b.fakes) for b in bins], [(0, 1, 0, 0), (0.5, 2, 0.75, 1)])

    def test_risk_does_not_depend_on_the_order_of_equally_sure_files(self) -> None:
        scores, labels = np.array([0.9, 0.9, 0.1, 0.6]), np.array([1, 0, 0, 1])
        covered, risk = metrics.risk_coverage(scores, labels)
        self.assertEqual(covered.tolist(), [0.25, 0.5, 0.75, 1])
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]):
            found = metrics.risk_coverage(scores[order], labels[order])[1]
            self.assertTrue(np.allclose(found, [1 / 3, 1 / 3, 1 / 3, 1 / 4]), found)
        self.assertTrue(np.allclose(risk[-1], 0.25))

    def test_paired_auc_ignores_differences_between_sources(self) -> None:
        scores, labels = np.array([0.1, 0.2, 0.8, 0.9]), np.array([1, 0, 1, 0])
        sources = np.array(["a", "a", "b", "b"])
        self.assertEqual(metrics.macro_paired_auc(scores, labels, sources), 0.0)
        self.assertEqual(metrics.auc(scores, labels), 0.25)

    def test_paired_auc_leaves_out_sources_of_one_class(self) -> None:
        scores, labels = np.array([0.1, 0.2, 0.9]), np.array([0, 1, 0])
        self.assertEqual(metrics.macro_paired_auc(scores, labels, np.array(["a", "a", "b"])), 1.0)
        self.assertTrue(math.isnan(metrics.macro_paired_auc(scores, labels, np.array(["a", "b", "c"]))))

    def test_perfect_and_upside_down_detectors(self) -> None:
        for scores, auc, eer, aurc in [([0.1, 0.2, 0.8, 0.9], 1, 0, 0), ([0.9, 0.8, 0.2, 0.1], 0, 1, 1)]:
            with self.subTest(scores=scores):
                found, labels = np.array(scores), np.array([0, 0, 1, 1])
                self.assertEqual((metrics.auc(found, labels), metrics.aurc(found, labels)), (auc, aurc))
                self.assertAlmostEqual(metrics.eer(found, labels), eer, delta=0.25)

    def test_figures_that_the_data_cannot_give_are_nan(self) -> None:
        reals = (np.array([0.1, 0.2]), np.array([0, 0]), np.arange(2))
        for name in ("AUC", "macro paired AUC", "average precision", "EER", "FPR at 95 % TPR", "TPR at 1 % FPR", "balanced accuracy", "precision", "recall", "F1"):
            with self.subTest(figure=name):
                self.assertTrue(math.isnan(metrics.standard(0.3, 0.7)[name](*reals)))


class OfNormals(unittest.TestCase):
    def test_eer_of_overlapping_normals(self) -> None:
        logits, labels = normal(4, 2.0)
        self.assertAlmostEqual(metrics.eer(logits, labels), 0.159, delta=0.02)

    def test_calibration_error_of_honest_and_of_boastful_scores(self) -> None:
        logits, labels = normal(5, 2.0)
        for figure in (metrics.ece, metrics.balanced_ece):
            with self.subTest(figure=figure.__name__):
                self.assertLess(figure(calibration.sigmoid(2 * logits - 2), labels), 0.04)
                self.assertGreater(figure(calibration.sigmoid(20 * logits - 20), labels), 0.1)

    def test_control_sees_leaking_metadata_and_nothing_else(self) -> None:
        labels = np.arange(200) % 2
        groups = np.arange(200) // 10
        noise = np.random.default_rng(7).standard_normal((200, 2))
        leaking = np.column_stack([noise[:, 0], labels + 0.1 * noise[:, 1]])
        self.assertGreater(metrics.auc(metrics.control_scores(leaking, labels, groups), labels), 0.95)
        self.assertAlmostEqual(metrics.auc(metrics.control_scores(noise, labels, groups), labels), 0.5, delta=0.15)


class Groups(unittest.TestCase):
    def test_aggregation_by_kind(self) -> None:
        scores, labels, videos = np.array([0.2, 0.4, 0.9, 0.6]), np.array([0, 0, 0, 1]), np.array(["a", "a", "a", "b"])
        for how, expected in [("mean", 0.5), ("median", 0.4), ("max", 0.9)]:
            with self.subTest(how=how):
                joined, kept, names = metrics.aggregate(scores, labels, videos, how)
                self.assertAlmostEqual(joined[0], expected)
                self.assertEqual((joined[1], kept.tolist(), names.tolist()), (0.6, [0, 1], ["a", "b"]))

    def test_mean_of_logits_survives_certain_scores(self) -> None:
        joined, _, _ = metrics.aggregate(np.array([0.0, 1.0]), np.array([1, 1]), np.array([3, 3]), "mean-logit")
        self.assertAlmostEqual(joined[0], 0.5)

    def test_a_group_of_both_classes_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "1 groups hold reals and fakes.*: v"):
            metrics.aggregate(SCORES[:2], np.array([0, 1]), np.array(["v", "v"]))

    def test_interval_is_wider_when_files_share_sources(self) -> None:
        voices, labels = normal(6, 1.0, 20)
        scores, truth = np.repeat(voices, 20), np.repeat(labels, 20)
        lone = metrics.bootstrap(metrics.auc, scores, truth, np.arange(400), rounds=200)
        shared = metrics.bootstrap(metrics.auc, scores, truth, np.repeat(np.arange(20), 20), rounds=200)
        self.assertTrue(lone[1] < lone[0] < lone[2])
        self.assertGreater(shared[2] - shared[1], 2 * (lone[2] - lone[1]))

    def test_all_metrics_share_draws_with_the_single_one(self) -> None:
        together = metrics.bootstraps(metrics.standard(0.3, 0.65), SCORES, LABELS, LONE, rounds=50)
        alone = metrics.bootstrap(metrics.auc, SCORES, LABELS, LONE, rounds=50)
        self.assertEqual((together["AUC"].value, together["AUC"].low, together["AUC"].high), alone)

    def test_one_group_has_a_value_and_no_interval(self) -> None:
        value, low, high = metrics.bootstrap(metrics.auc, SCORES, LABELS, np.zeros(6), rounds=50)
        self.assertAlmostEqual(value, 8 / 9)
        self.assertTrue(math.isnan(low) and math.isnan(high))

    def test_what_cannot_be_measured_is_refused(self) -> None:
        rows = [
            ("lists of one length", [0.1, 0.2], [0], [0]),
            ("nothing to measure", [], [], []),
            ("1 scores are not finite", [0.1, math.nan], [0, 1], [0, 1]),
            ("0 .real. or 1 .fake.", [0.1, 0.2], [0, 2], [0, 1]),
        ]
        for message, scores, labels, groups in rows:
            with self.subTest(message=message), self.assertRaisesRegex(ValueError, message):
                metrics.bootstrap(metrics.auc, np.array(scores), np.array(labels), np.array(groups))


@unittest.skipUnless(reference, "scikit-learn is not installed: models/training/run sets it up")
class AgainstScikitLearn(unittest.TestCase):
    def test_figures_agree_with_and_without_ties(self) -> None:
        for digits in (12, 1):
            logits, labels = normal(8, 1.0, 501)
            scores = np.round(calibration.sigmoid(logits), digits)
            called = scores >= 0.6
            rows = [
                (metrics.auc, reference.roc_auc_score(labels, scores)),
                (metrics.average_precision, reference.average_precision_score(labels, scores)),
                (metrics.brier, reference.brier_score_loss(labels, scores)),
                (metrics.accuracy(0.6), reference.accuracy_score(labels, called)),
                (metrics.balanced_accuracy(0.6), reference.balanced_accuracy_score(labels, called)),
                (metrics.precision(0.6), reference.precision_score(labels, called)),
                (metrics.recall(0.6), reference.recall_score(labels, called)),
                (metrics.f1(0.6), reference.f1_score(labels, called)),
            ]
            for i, (metric, expected) in enumerate(rows):
                with self.subTest(digits=digits, row=i):
                    self.assertAlmostEqual(metric(scores, labels, labels), expected, places=10)
            alarms, hits, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
            found = metrics.roc(scores, labels)
            self.assertTrue(np.allclose(found[0], alarms) and np.allclose(found[1], hits))


if __name__ == "__main__":
    unittest.main()
