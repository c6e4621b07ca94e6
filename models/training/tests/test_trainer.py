"""The training loop on a toy task: the same bytes again, resumed or not, and an end when nothing rises any more."""

import math
import tempfile
import unittest
from pathlib import Path

import numpy as np

try:
    import torch

    from detectors import trainer
    from detectors.trainer import Config, ResumeError, Task
except ImportError:
    trainer = None

needs_torch = unittest.skipUnless(trainer, "torch is not installed: models/training/run sets it up")


def toy(validate=None) -> "Task":
    """Two dots, apart by one coordinate; dropout, so that torch's own randomness counts."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))

    def batch(step: int, rng: np.random.Generator) -> dict:
        labels = np.arange(16) % 2
        points = rng.standard_normal((16, 2)) + np.stack([3 * labels, 0 * labels], 1)
        return {"points": torch.from_numpy(points.astype(np.float32)), "labels": torch.from_numpy(labels.astype(np.float32))}

    def loss(net, batch):
        return torch.nn.functional.binary_cross_entropy_with_logits(net(batch["points"])[:, 0], batch["labels"])

    def accuracy(net) -> dict[str, float]:
        held_out = batch(0, np.random.default_rng(99))
        return {"accuracy": float(((net(held_out["points"])[:, 0] > 0) == held_out["labels"].bool()).float().mean())}

    return Task(net, batch, loss, validate or accuracy, "accuracy")


@needs_torch
class Schedule(unittest.TestCase):
    def test_rises_evenly_and_falls_along_a_cosine(self) -> None:
        config = Config(seed=1, steps=100, rate=1.0)
        found = [trainer.rate_at(step, config) for step in range(1, 101)]
        self.assertEqual((found[0], found[4], found[9]), (0.1, 0.5, 1.0))
        self.assertTrue(all(a > b > 0 for a, b in zip(found[9:], found[10:])))
        self.assertAlmostEqual(trainer.rate_at(55, config), 0.5 * (1 + math.cos(math.pi * 45 / 91)))
        self.assertLess(found[-1], 0.01)

    def test_runs_that_make_no_sense_are_refused(self) -> None:
        for changes in ({"steps": 0}, {"warmup": 1.0}, {"patience": 0}, {"evaluate_every": 0}):
            with self.subTest(changes=changes), self.assertRaisesRegex(ValueError, "at least 1"):
                Config(**{"seed": 1, "steps": 10, **changes})


@needs_torch
class Training(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.cpu = torch.device("cpu")

    def weights(self, name: str, config: "Config", **options) -> list[float]:
        task = toy()
        trainer.train(task, config, self.folder / name, self.cpu, **options)
        return [float(value) for tensor in task.net.state_dict().values() for value in tensor.flatten()]

    def test_learns_and_keeps_the_best(self) -> None:
        outcome = trainer.train(toy(), Config(seed=3, steps=60, rate=0.05, evaluate_every=10), self.folder, self.cpu)
        self.assertGreater(outcome.best["accuracy"], 0.8)
        saved = torch.load(self.folder / "best.pt")
        self.assertEqual((saved["progress"]["best_step"], saved["config"]["seed"]), (outcome.best_step, 3))
        self.assertNotIn("optimiser", saved)

    def test_the_same_configuration_gives_the_same_weights_and_another_seed_does_not(self) -> None:
        config = Config(seed=4, steps=12, evaluate_every=6)
        self.assertEqual(self.weights("a", config), self.weights("b", config))
        self.assertNotEqual(self.weights("a", config), self.weights("c", Config(seed=5, steps=12, evaluate_every=6)))

    def test_a_resumed_run_ends_where_the_whole_one_does(self) -> None:
        config = Config(seed=4, steps=12, evaluate_every=4)
        whole = self.weights("whole", config)
        self.weights("cut", config, stop_at=7)
        self.assertEqual(self.weights("cut", config, resume=True), whole)
        events = [(e["event"], e["step"]) for e in trainer.lines_of(self.folder / "cut/log.jsonl")]
        self.assertEqual(events, [("started", 0), ("evaluated", 4), ("ended", 7), ("resumed", 7), ("evaluated", 8), ("evaluated", 12), ("ended", 12)])

    def test_checkpoints_of_other_runs_are_refused(self) -> None:
        with self.assertRaisesRegex(ResumeError, "no checkpoint"):
            self.weights("none", Config(seed=1, steps=4), resume=True)
        self.weights("run", Config(seed=1, steps=4))
        with self.assertRaisesRegex(ResumeError, "another rate, seed"):
            self.weights("run", Config(seed=2, steps=4, rate=1e-4), resume=True)

    def test_stops_when_nothing_rises_and_leaves_the_best_weights(self) -> None:
        figures = iter([0.5, 0.9, 0.8, math.nan, 0.9, 0.7])
        task = toy(lambda net: {"accuracy": next(figures)})
        outcome = trainer.train(task, Config(seed=1, steps=100, evaluate_every=2, patience=3), self.folder, self.cpu)
        self.assertEqual((outcome.best_step, outcome.best, outcome.last_step, outcome.stopped_early), (4, {"accuracy": 0.9}, 10, True))
        best = torch.load(self.folder / "best.pt")["net"]
        self.assertTrue(all(torch.equal(best[name], tensor) for name, tensor in task.net.state_dict().items()))
        again = trainer.train(toy(), Config(seed=1, steps=100, evaluate_every=2, patience=3), self.folder, self.cpu, resume=True)
        self.assertEqual((again.last_step, again.stopped_early), (10, True))

    def test_a_loss_that_is_no_number_and_a_figure_that_is_missing_end_it(self) -> None:
        broken = toy()
        broken = Task(broken.net, broken.batch, lambda net, batch: torch.tensor(math.nan), broken.validate, "accuracy")
        with self.assertRaisesRegex(ValueError, "loss of step 1 is nan"):
            trainer.train(broken, Config(seed=1, steps=2), self.folder, self.cpu)
        with self.assertRaisesRegex(ValueError, "gives loss, not accuracy"):
            trainer.train(toy(lambda net: {"loss": 1.0}), Config(seed=1, steps=2), self.folder, self.cpu)

    def test_a_gpu_that_is_not_there_is_said(self) -> None:
        if torch.cuda.is_available():
            self.skipTest("there is a GPU")
        self.assertEqual(trainer.device_of().type, "cpu")
        with self.assertRaisesRegex(ValueError, "sees no GPU"):
            trainer.device_of("cuda")


@needs_torch
class TemporalConsistency(unittest.TestCase):
    def test_counts_steps_inside_tracks_alone(self) -> None:
        rows = [
            ([1.0, 3.0, 3.0], [0, 0, 0], 2.0),
            ([1.0, 3.0, 9.0, 8.0], [0, 0, 1, 1], 2.5),
            ([1.0, 9.0], [0, 1], 0.0),
            ([4.0], [0], 0.0),
        ]
        for logits, tracks, expected in rows:
            with self.subTest(logits=logits):
                self.assertEqual(float(trainer.temporal_consistency(torch.tensor(logits), torch.tensor(tracks))), expected)

    def test_pulls_neighbours_together(self) -> None:
        logits = torch.tensor([0.0, 1.0], requires_grad=True)
        trainer.temporal_consistency(logits, torch.tensor([5, 5])).backward()
        self.assertEqual(logits.grad.tolist(), [-2.0, 2.0])

    def test_other_shapes_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, r"shapes \(2, 1\) and \(2,\)"):
            trainer.temporal_consistency(torch.zeros(2, 1), torch.zeros(2))


if __name__ == "__main__":
    unittest.main()
