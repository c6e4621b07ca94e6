"""Weights of an ensemble."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np

from detectors import fusion
from detectors.calibration import sigmoid


def table(seed: int, count: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    """Two calibrated models, each of which sees something of its own, and one that knows nothing."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    side = 2.0 * labels - 1
    # Of a normal shift by d between the classes, d * x are the log odds.
    logits = np.column_stack([2.0 * (rng.standard_normal(count) + side), 1.0 * (rng.standard_normal(count) + 0.5 * side), 0.1 * rng.standard_normal(count)])
    return sigmoid(logits), labels


class Fit(unittest.TestCase):
    def test_finds_that_independent_evidence_adds_up(self) -> None:
        scores, labels = table(1)
        found = fusion.fit(scores, labels, l2=1.0)
        self.assertAlmostEqual(found.weights[0], 1.0, delta=0.12)
        self.assertAlmostEqual(found.weights[1], 1.0, delta=0.12)
        self.assertAlmostEqual(found.intercept, 0.0, delta=0.12)

    def test_is_the_minimum(self) -> None:
        scores, labels = table(2, 400)
        found = fusion.fit(scores, labels, l2=2.0)
        theta = np.concatenate([[found.intercept], found.weights, found.missing])
        p = sigmoid(fusion.design_of(scores) @ theta)
        prior = np.array([0, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0])
        penalty = np.array([1e-6, 2, 2, 2, 2, 2, 2])
        gradient = fusion.design_of(scores).T @ (p - labels) + penalty * (theta - prior)
        self.assertLess(np.abs(gradient).max(), 1e-6)

    def test_strong_penalty_gives_the_mean(self) -> None:
        scores, labels = table(3, 400)
        np.testing.assert_allclose(fusion.fit(scores, labels, l2=1e9).weights, 1 / 3, atol=1e-4)

    def test_stays_finite_on_separable_scores_of_0_and_1(self) -> None:
        found = fusion.fit(np.array([[0.0, 0.0], [0.0, 0.1], [1.0, 0.9], [1.0, 1.0]]), np.array([0, 0, 1, 1]))
        self.assertTrue(np.isfinite([found.intercept, *found.weights, *found.missing]).all())

    def test_learns_what_silence_means(self) -> None:
        scores, labels = table(4)
        rng = np.random.default_rng(5)
        scores[(rng.random(len(labels)) < np.where(labels == 1, 0.6, 0.2)), 1] = np.nan
        found = fusion.fit(scores, labels)
        self.assertGreater(found.missing[1], 0.3)
        self.assertEqual(found.missing[0], 0.0)
        self.assertTrue(np.isfinite(fusion.apply(found, scores)).all())


class Folds(unittest.TestCase):
    def test_never_part_a_group(self) -> None:
        groups = np.array([f"g{number}" for number in np.random.default_rng(6).integers(0, 37, 500)])
        fold = fusion.folds_of(groups, 5)
        for group in np.unique(groups):
            self.assertEqual(len(np.unique(fold[groups == group])), 1)
        sizes = np.bincount(fold, minlength=5)
        self.assertLess(sizes.max() - sizes.min(), 30)

    def test_need_as_many_groups(self) -> None:
        with self.assertRaisesRegex(ValueError, "2 groups"):
            fusion.folds_of(np.array(["a", "b", "b"]), 3)

    def test_held_out_scores_are_not_those_of_the_fit(self) -> None:
        """A model that remembers its groups helps inside them only."""
        scores, labels = table(7, 200)
        groups = np.array([f"g{number}" for number in range(20) for _ in range(10)])
        held = fusion.held_out(fusion.Scores(["a", "b", "c"], scores, labels, groups), 1.0, 5)
        inside = fusion.apply(fusion.fit(scores, labels), scores)
        self.assertEqual(held.shape, inside.shape)
        self.assertGreater(np.abs(held - inside).max(), 1e-4)


class Table(unittest.TestCase):
    def read(self, text: str) -> fusion.Scores:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scores.csv"
            path.write_text(text)
            return fusion.read_scores(path)

    def test_empty_fields_are_no_scores(self) -> None:
        found = self.read("file,label,group,a,b\nx,fake,g1,0.9,\ny,real,g2,,0.25\n")
        self.assertEqual(found.models, ["a", "b"])
        np.testing.assert_array_equal(found.labels, [1, 0])
        np.testing.assert_array_equal(found.scores, [[0.9, np.nan], [np.nan, 0.25]])

    def test_what_is_no_table_is_refused_with_its_line(self) -> None:
        for text, message in [
            ("label,a,b\n1,0.1,0.2\n", "must name label, group"),
            ("label,group,a\n1,g,0.1\n", "at least two models"),
            ("label,group,a,b\n1,g,0.1,0.2\nmaybe,h,0.1,0.2\n", "line 3: label is 'maybe'"),
            ("label,group,a,b\n1,,0.1,0.2\n", "line 2: group is empty"),
            ("label,group,a,b\n1,g,1.5,0.2\n", "line 2, a: '1.5'"),
            ("label,group,a,b\n1,g,nan,0.2\n", "line 2, a: 'nan'"),
            ("label,group,a,b\n1,g,0.1,0.2\n1,h,0.1,0.2\n", "one class only"),
        ]:
            with self.subTest(message=message), self.assertRaisesRegex(ValueError, message):
                self.read(text)


class Command(unittest.TestCase):
    def test_prints_an_entry_of_the_configuration(self) -> None:
        scores, labels = table(8, 300)
        rows = "".join(f"{label},g{number // 10},{a:.6f},{b:.6f},\n" for number, (label, (a, b, _)) in enumerate(zip(labels, scores)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scores.csv"
            path.write_text(f"label,group,frames,voice,other\n{rows}")
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                self.assertEqual(fusion.main([str(path), "--name", "both"]), 0)
            self.assertIn("# other: no figures, it answered 0 files", output.getvalue())
            self.assertRegex(output.getvalue(), r"(?s)fusion: AUC 0\.\d+.*fusion:\n  - name: both\n    models: \[frames, voice, other\]\n    method: logistic")
            with contextlib.redirect_stderr(io.StringIO()) as complaint:
                self.assertEqual(fusion.main([str(Path(folder) / "none.csv"), "--name", "both"]), 2)
            self.assertRegex(complaint.getvalue(), "^fusion: .*none.csv")


if __name__ == "__main__":
    unittest.main()
