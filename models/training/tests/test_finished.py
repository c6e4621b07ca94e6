"""What a finished package says of itself."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

try:
    from detectors import finished
    from detectors.package import Scored
except ImportError:
    finished = None

needs_all = unittest.skipUnless(finished, "torch or onnx is not installed: models/training/run sets them up")
FIT = {"slope": 1.0, "intercept": 0.0, "low": 0.3, "high": 0.7}


@needs_all
class Abstention(unittest.TestCase):
    def test_share_outside_and_accuracy_with_and_without_it(self) -> None:
        scored = Scored(np.array([-3.0, 3.0, 3.0, -3.0]), np.array([0, 1, 0, 1]), np.array(list("abcd")), np.array(list("rfrf")), np.zeros((4, 0)))
        rows = finished.abstention_rows("set", scored, np.array([False, False, True, True]), FIT)
        self.assertEqual([row["value"] for row in rows], [0.5, 0.5, 1.0])
        self.assertEqual({(row["dataset"], row["positives"], row["negatives"]) for row in rows}, {("set: known media", 2, 2)})

    def test_what_cannot_be_computed_is_left_out(self) -> None:
        scored = Scored(np.array([-3.0, 3.0]), np.array([0, 1]), np.array(["a", "b"]), np.array(["r", "f"]), np.zeros((2, 0)))
        rows = finished.abstention_rows("set", scored, np.array([True, True]), FIT)
        self.assertEqual([row["metric"] for row in rows], ["out of distribution (share)", "balanced accuracy outside the abstain band, all files"])


@needs_all
class Smaller(unittest.TestCase):
    def test_the_note_says_what_it_costs_and_why_it_is_left_out(self) -> None:
        for refused, start in (("", "INT8 against FP32"), ("no faster", "INT8 left out (no faster)")):
            with self.subTest(refused=refused):
                note = finished.Smaller("x.onnx", FIT, 0.004, 0.01, 1.3, refused).note
                self.assertTrue(note.startswith(start), note)
                self.assertIn("AUC -0.0040, ECE +0.0100", note)


@needs_all
class Quantised(unittest.TestCase):
    def test_fixed_filters_stay_as_they_are(self) -> None:
        import onnx
        import torch
        from importer.quantise import quantised

        class Net(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("fixed", torch.ones(2, 1, 3))
                self.learnt = torch.nn.Conv1d(2, 2, 3)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.learnt(torch.nn.functional.conv1d(x, self.fixed)).mean(2)

        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "classifier.onnx"
            torch.onnx.export(Net().eval(), torch.zeros(1, 1, 16), str(path), opset_version=17, input_names=["samples"], output_names=["logit"])
            batches = [np.random.default_rng(i).standard_normal((1, 1, 16)).astype(np.float32) for i in range(4)]
            plain = {weight.name for weight in onnx.load(str(path)).graph.initializer}
            for kept in ((), ("fixed",)):
                with self.subTest(kept=kept):
                    made = onnx.load(str(path.with_name(quantised(path, batches, kept=kept)))).graph
                    same = plain & {weight.name for weight in made.initializer}
                    self.assertEqual("fixed" in same, bool(kept))
                    self.assertNotIn("learnt.weight", same)


@needs_all
class Card(unittest.TestCase):
    def test_figures_are_those_of_the_rows(self) -> None:
        counts = {"positives": 4, "negatives": 5}
        rows = [
            {"dataset": "here", "metric": "AUC", "value": 0.9, "low": 0.8, "high": 0.95, **counts}, {"dataset": "here", "metric": "ECE", "value": 0.1, **counts},
            {"dataset": "size", "metric": "parameters", "value": 1234, "note": "few"},
        ]
        card = {"status": "demonstration", "intendedUse": "Meant.", "trainingData": "Data.", "limitations": "Limits."}
        text = finished.card_text({"name": "n", "version": "1.0.0"}, card, rows, ["About."])
        for expected in ("# n 1.0.0: model card", "**Status: demonstration.** Meant.", "| here | 0.900 [0.800, 0.950] | - | 0.100 | - | - | - | 4 + 5 |", "| size | parameters | 1,234 (few) |", "About."):
            with self.subTest(expected=expected):
                self.assertIn(expected, text)


if __name__ == "__main__":
    unittest.main()
