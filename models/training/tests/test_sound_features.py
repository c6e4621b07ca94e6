"""Features of sound against librosa's values, which hold the pod, too."""

import json
import shutil
import unittest
from pathlib import Path

import numpy as np

from detectors import sound_features

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = json.loads((ROOT / "test" / "golden" / "sound" / "features.json").read_text())


@unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg decodes the recording")
class Golden(unittest.TestCase):
    def test_features_are_those_of_librosa(self) -> None:
        import subprocess

        path = ROOT / "test" / "fixtures" / "media" / GOLDEN["file"]
        said = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"], capture_output=True, check=True).stdout
        excerpt = np.frombuffer(said, np.float32)[None, GOLDEN["from"] : GOLDEN["to"]]
        for name, case in GOLDEN["cases"].items():
            if case["options"]["kind"]["type"] == "log-mel":
                continue
            with self.subTest(case=name):
                found = sound_features.features(excerpt, case["options"]["sampleRate"], case["options"])[0]
                np.testing.assert_allclose(found, np.array(case["bins"]), atol=2e-3)


class Kinds(unittest.TestCase):
    def test_mel_features_are_refused(self) -> None:
        options = dict(GOLDEN["cases"]["log-mel in decibels"]["options"])
        with self.assertRaisesRegex(ValueError, "log-mel are not computed here"):
            sound_features.features(np.zeros((1, 4000)), 16_000, options)

    def test_a_constant_plane_becomes_zero(self) -> None:
        self.assertEqual(sound_features.normalised(np.full((1, 2, 3), 5.0), {"type": "mean-std"}).tolist(), [[[0.0] * 3] * 2])


if __name__ == "__main__":
    unittest.main()
