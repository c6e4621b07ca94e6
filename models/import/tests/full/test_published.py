"""Checkpoints that others published, where they are there: DEEPFAKE_SHARED or a folder `shared` beside the repository."""

import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import yaml

from importer.__main__ import main
from importer.building import FIXTURES
from importer.export import Session
from importer.reading import decoded, windows

MEDIA = Path(os.environ.get("DEEPFAKE_SHARED", FIXTURES.parents[3] / "shared")) / "media"
AASIST = MEDIA / "models" / "aasist"


@unittest.skipUnless(AASIST.is_dir(), f"no AASIST checkpoints in {AASIST}")
class Aasist(unittest.TestCase):
    def test_the_published_weights_load_strictly_and_hear_which_speech_is_real(self) -> None:
        real = sorted((MEDIA / "audio/real/librispeech").glob("*.flac"))[:4]
        fake = sorted((MEDIA / "audio/fake/fastspeech").iterdir())[:4]
        self.assertEqual((len(real), len(fake)), (4, 4))
        with tempfile.TemporaryDirectory() as folder:
            for name, file in [("aasist", "models_weights_AASIST.pth"), ("aasist-l", "models_weights_AASIST-L.pth")]:
                with self.subTest(name):
                    out = Path(folder) / name
                    # Refused above 1e-4 between the graph and torch, on speech.
                    self.assertEqual(main([name, str(AASIST / file), "--out", str(out)]), 0)
                    self.assertEqual(yaml.safe_load((out / "model.yaml").read_text())["output"], {"positive": "real", "activation": "softmax", "index": 1})
                    session = Session(out / "classifier.onnx")
                    sounds = np.concatenate([windows(decoded(path, 16_000)[:64_600], 64_600, 64_600, "repeat") for path in (*real, *fake)])
                    logits = session.run(sounds)[0]
                    margins = logits[:, 1] - logits[:, 0]
                    self.assertGreater(np.median(margins[:4]), np.median(margins[4:]) + 5)

    def test_a_checkpoint_of_another_size_leaves_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "x"
            self.assertEqual(main(["aasist-l", str(AASIST / "models_weights_AASIST.pth"), "--out", str(out)]), 1)
            self.assertEqual(list(Path(folder).iterdir()), [])
