"""What a package says, and what the user may not make it say."""

import unittest
from dataclasses import replace

from importer.errors import ImportRefused
from importer.examples import manifests
from importer.manifest import Stated, calibration, checked

STATED = Stated(name="mine")


class Manifests(unittest.TestCase):
    def test_imports_are_uncalibrated_demonstrations_unless_told_otherwise(self) -> None:
        made = {manifest["name"]: manifest for manifest in manifests()}
        self.assertEqual(made["aasist"]["calibration"], {"method": "none"})
        self.assertEqual(made["meso4"]["calibration"], {"method": "platt", "slope": 1.5, "intercept": -0.25})
        self.assertEqual({manifest["card"]["status"] for manifest in made.values()}, {"demonstration"})

    def test_directions_are_those_of_the_checkpoints(self) -> None:
        real = {manifest["name"] for manifest in manifests() if manifest["output"]["positive"] == "real"}
        self.assertEqual(real, {"aasist", "aasist-l", "eyeblink-cnn-lstm-v1", "scattering-wave-v1", "meso4"})


class Stating(unittest.TestCase):
    def test_calibrations_by_text(self) -> None:
        self.assertEqual(calibration("temperature:1.5"), {"method": "temperature", "temperature": 1.5})
        for text in ("platt", "platt:1", "platt:-1,0", "platt:a,b", "platt:nan,0", "temperature:0", "temperature:inf", "none:1", "isotonic"):
            with self.subTest(text), self.assertRaisesRegex(ImportRefused, "--calibration"):
                calibration(text)

    def test_fields_that_the_pod_would_refuse(self) -> None:
        for change, message in [
            ({"name": "Mine"}, "--name"), ({"name": "-a"}, "--name"), ({"version": "1.0"}, "--version"), ({"low": 0.8}, "--low"),
            ({"high": 1.5}, "--high"), ({"license": ""}, "--license"), ({"training_data": "x" * 1001}, "--training-data"), ({"status": "validated"}, "--training-data"),
        ]:
            with self.subTest(change), self.assertRaisesRegex(ImportRefused, message):
                checked(replace(STATED, **change))
