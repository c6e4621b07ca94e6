"""From a graph of images to its package: what media it knows, and an INT8 variant that is shipped or removed by what it costs."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

try:
    import torch
    from PIL import Image

    from detectors import image_package, image_pool, int8, ood, package
    from detectors.image_net import ResidualNet
    from detectors.image_pool import Upload
    from detectors.windows import tiles
except ImportError:
    torch = None


def picture(source: int, deviation: float, side: int = 160) -> np.ndarray:
    rng = np.random.default_rng([source, round(10 * deviation)])
    y, x = np.mgrid[:side, :side]
    plane = 120 + 50 * np.sin(x / (9 + source % 7)) * np.cos(y / (11 + source % 5))
    return np.clip(plane[..., None] + rng.normal(0, deviation, (side, side, 3)), 0, 255).astype(np.uint8)


def uploads(deviation: float, count: int = 40, label: int = 0) -> list:
    rng = np.random.default_rng(0)
    return [Upload(picture(i, deviation * float(rng.uniform(0.5, 1.5))), (i + label) % 2, f"s{i // 2}", "m", [160, 160, 90]) for i in range(count)]


@unittest.skipUnless(torch, "torch, onnxruntime or Pillow is not installed: models/training/run sets them up")
class KnownMedia(unittest.TestCase):
    def test_are_inside_and_grainy_ones_are_not(self) -> None:
        block = image_package.known_media(uploads(4))
        self.assertEqual((block["source"], block["features"], block["abstain"]), ("input", list(image_package.KNOWN_BY), False))
        for deviation, expected in ((4, 0.0), (60, 1.0)):
            outside = ood.typicality(image_package.statistics(uploads(deviation)), block)[2]
            self.assertAlmostEqual(outside.mean(), expected, delta=0.1)

    def test_shares_are_told_by_class(self) -> None:
        made = uploads(4)
        scored = package.Scored(np.zeros(40), np.array([u.label for u in made]), np.array([u.source for u in made]), np.repeat("m", 40), np.zeros((40, 0)))
        block = image_package.known_media(made)
        with contextlib.redirect_stdout(io.StringIO()):
            rows = image_package.outside_rows("set", made, scored, block)
        self.assertEqual([row["metric"] for row in rows], [f"out of distribution (share of the {words})" for words in ("reals", "fakes")])
        self.assertTrue(all(0 <= row["low"] <= row["value"] <= row["high"] <= 0.2 for row in rows), rows)


@unittest.skipUnless(torch, "torch, onnxruntime or Pillow is not installed: models/training/run sets them up")
class Smaller(unittest.TestCase):
    def variant(self, folder: Path, most: float) -> tuple[dict | None, list[dict]]:
        torch.manual_seed(1)
        net = ResidualNet().eval()
        with contextlib.redirect_stdout(io.StringIO()):
            package.export(net, folder / "classifier.onnx", "pixels", tiles(picture(0, 4)))
        family = image_package.Family({}, {}, {}, tiles, kept=("kernels",))
        made = uploads(4, 12)
        pool = SimpleNamespace(uploads=lambda split, kinds: made)
        golden = folder / "golden.png"
        Image.fromarray(picture(3, 4)).save(golden)
        fit = {"method": "none", "low": 0.3, "high": 0.7}
        plain = {"set": image_pool.score(family.judge(folder / "classifier.onnx"), made)}
        limits = mock.patch.multiple(int8, MOST_SCORE_MOVED=most, MOST_AUC_LOST=1.0)
        with limits, contextlib.redirect_stdout(io.StringIO()):
            return image_package.int8_variant(family, pool, folder, fit, {"set": made}, plain, {"golden": golden})

    def test_is_pinned_with_its_figures(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            variant, rows = self.variant(folder, 1.0)
            self.assertEqual((variant["precision"], variant["sha256"]), ("int8", package.digest(folder / variant["file"])))
            self.assertGreaterEqual(variant["goldenTolerance"], package.GOLDEN_TOLERANCE)
            self.assertLess((folder / variant["file"]).stat().st_size, (folder / "classifier.onnx").stat().st_size / 2)
            self.assertEqual([(row["dataset"], row["metric"]) for row in rows], [("set, INT8", "AUC"), ("set, INT8", "ECE")])
            self.assertRegex(rows[0]["note"], r"^FP32 has [01]\.\d{3}; scores move by ")

    def test_is_removed_where_golden_scores_move(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            self.assertEqual(self.variant(folder, -1.0), (None, []))
            self.assertEqual(sorted(path.name for path in folder.iterdir()), ["classifier.onnx", "golden.png"])


if __name__ == "__main__":
    unittest.main()
