"""Training on data of one's own, from files to a package: a few steps on made-up files."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

try:
    from PIL import Image

    from detectors import sources, train, trainer
    from detectors.reference import ReferenceScorer
except ImportError:
    train = None


def files(folder: Path, modality: str) -> None:
    """Twelve sources, each real and by one of two generators; fakes are smooth."""
    for i in range(12):
        for label, smooth in (("real", 1), (f"fake/{'ab'[i % 2]}", 4)):
            path = folder / label
            path.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([i, smooth])
            if modality == "image":
                noise = rng.integers(0, 256, (192 // smooth, 192 // smooth, 3), dtype=np.uint8)
                Image.fromarray(noise).resize((192, 192), Image.Resampling.BICUBIC).save(path / f"s{i}.png")
            else:
                noise = np.convolve(rng.standard_normal(40_000), np.ones(smooth) / smooth, "same")
                sources.save_flac((noise / 6).astype(np.float32), path / f"s{i}.flac")


@unittest.skipUnless(train, "torch, onnxruntime or Pillow is not installed: models/training/run sets them up")
class FromFilesToPackage(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def run_with(self, *arguments: str) -> tuple[str, str | None]:
        said, code = io.StringIO(), None
        small = mock.patch.object(train, "HALF", 2)
        with small, mock.patch.object(sys, "argv", ["train", *arguments]), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                train.main()
            except SystemExit as end:
                code = str(end.code)
        return said.getvalue(), code

    def test_each_modality_ends_as_a_package_that_reproduces_its_golden_scores(self) -> None:
        for modality in ("image", "audio"):
            with self.subTest(modality=modality):
                data, out = self.folder / modality, self.folder / f"{modality}-package"
                files(data, modality)
                arguments = (modality, "--data", str(data), "--name", "small", "--out", str(out), "--debug", "--device", "cpu")
                said, code = self.run_with(*arguments)
                self.assertIsNone(code, said)
                self.assertEqual(ReferenceScorer(out).manifest["name"], "small")
                events = [entry["event"] for entry in trainer.lines_of(out / "run/log.jsonl")]
                self.assertEqual(events, ["started", "evaluated", "evaluated", "ended"])
        before = (out / "model.yaml").read_bytes()
        self.assertIsNone(self.run_with(*arguments, "--resume")[1])
        self.assertEqual((out / "model.yaml").read_bytes(), before)

    def test_what_cannot_be_trained_on_ends_with_one_line(self) -> None:
        files(self.folder / "data", "image")
        data = str(self.folder / "data")
        rows = [
            (("audio", "--data", data), "the data hold .png; this family takes"),
            (("image", "--data", data, "--hold-out", "c"), "no fakes by c; there are some by a, b"),
            (("image", "--data", data, "--hold-out", "a,b"), "the split train has no fake files"),
            (("image", "--data", data, "--resume", "--out", str(self.folder / "out")), "no checkpoint to go on from"),
        ]
        for arguments, message in rows:
            with self.subTest(message=message):
                _, code = self.run_with(*arguments, "--name", "small", "--debug", "--device", "cpu")
                self.assertRegex(code or "", "^run train: .*" + message)


if __name__ == "__main__":
    unittest.main()
