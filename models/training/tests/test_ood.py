"""The Gaussian of known media: its rules here, and the same answers from the pod's own code."""

import json
import os
import subprocess
import unittest
from pathlib import Path

import numpy as np

from detectors import ood

ROOT = Path(__file__).resolve().parents[3]
NODE = Path(os.environ.get("DEEPFAKE_NODE", ROOT / "node_modules" / ".bin" / "node"))
POD = """
import { oodSchema, typicalityOf } from './inference/models/ood.ts';
const { block, points } = JSON.parse(process.argv[1]);
const model = oodSchema.parse(block);
console.log(JSON.stringify(points.map((point) => typicalityOf(point, model))));
"""


def known(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = np.array([[2.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.2]])
    return rng.standard_normal((count, 3)) @ mixing + [1.0, -2.0, 5.0], np.array([f"s{i % 40}" for i in range(count)])


class Fit(unittest.TestCase):
    def test_known_media_are_inside_and_far_media_are_not(self) -> None:
        block = ood.fitted(*known())
        _, share, outside = ood.typicality(known(seed=1)[0], block)
        self.assertLess(outside.mean(), 0.03)
        self.assertAlmostEqual(share.mean(), 0.5, delta=0.05)
        self.assertTrue(ood.typicality(np.array([[1.0, -2.0, 9.0]]), block)[2].all())

    def test_sources_stay_together(self) -> None:
        groups = known()[1]
        sides = ood.side_of(groups, 5)
        self.assertEqual({len(set(sides[groups == name])) for name in set(groups)}, {1})
        self.assertEqual(set(sides), set(range(5)))

    def test_distances_are_measured_on_other_sources(self) -> None:
        features, groups = known(60)
        shifted = features + 30 * (groups == "s3")[:, None]
        apart = ood.fitted(shifted, groups)["quantiles"][-1]["distance"]
        own = np.sqrt(ood.squared_distance(shifted, *ood.gaussian(shifted, 0.1))).max()
        self.assertGreater(apart, 2 * own)

    def test_points_rise_also_where_files_are_alike(self) -> None:
        points = ood.quantiles(np.array([0.0] * 50 + [1.0] * 50))
        for name in ("distance", "share"):
            values = [point[name] for point in points]
            self.assertTrue(all(one < other for one, other in zip(values, values[1:])), values)

    def test_what_cannot_be_fitted_is_refused(self) -> None:
        features, groups = known()
        rows = [
            (features[:20], groups[:20], "too few"), (features, np.array(["one"] * len(groups)), "of 1 sources are too few"),
            (features, groups[:-1], "not of shapes"), (np.where(features > 6, np.nan, features), groups, "not finite"),
        ]
        for values, names, message in rows:
            with self.subTest(message=message), self.assertRaisesRegex(ValueError, message):
                ood.fitted(values[:7] if message == "too few" else values, names[:7] if message == "too few" else names)


@unittest.skipUnless(NODE.exists(), f"{NODE} is not there: npm ci installs what runs the pod's code")
class Pod(unittest.TestCase):
    def test_the_pod_has_the_same_distance_share_and_verdict(self) -> None:
        block = ood.fitted(*known())
        points = np.vstack([known(seed=2)[0][:20], [[1.0, -2.0, 5.0], [1.0, -2.0, 9.0], [100.0, 0.0, 0.0]]])
        said = subprocess.run(
            [str(NODE), "--input-type=module", "-e", POD, json.dumps({"block": block, "points": points.tolist()})], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        found = json.loads(said)
        distance, share, outside = ood.typicality(points, block)
        np.testing.assert_allclose([row["distance"] for row in found], distance, rtol=1e-9)
        np.testing.assert_allclose([row["score"] for row in found], share, atol=1e-9)
        self.assertEqual([row["isOutside"] for row in found], outside.tolist())
        self.assertEqual(set(outside.tolist()), {True, False})


if __name__ == "__main__":
    unittest.main()
