"""Checkpoints are read without running them, and fit or are refused with every name."""

import pickle
import tempfile
import unittest
from pathlib import Path

import torch
from torch import nn

from importer import checkpoint
from importer.errors import ImportRefused


class Evil:
    def __reduce__(self):  # noqa: ANN204
        return (print, ("code of the checkpoint ran",))


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "weights.pth"

    def test_forms_that_training_scripts_write(self) -> None:
        state = nn.Linear(2, 1).state_dict()
        for name, content in [
            ("a state dict", state),
            ("beside an epoch", {"epoch": 3, "state_dict": state}),
            ("nested twice", {"model": {"state_dict": state}}),
            ("of DataParallel", {f"module.{key}": value for key, value in state.items()}),
            ("of parameters", dict(nn.Linear(2, 1).named_parameters())),
        ]:
            for zipped in (True, False):
                with self.subTest(name, zipped=zipped):
                    torch.save(content, self.path, _use_new_zipfile_serialization=zipped)
                    self.assertEqual(sorted(checkpoint.read(self.path)), ["bias", "weight"])

    def test_safetensors(self) -> None:
        from safetensors.torch import save_file

        path = self.path.with_suffix(".safetensors")
        save_file({"weight": torch.ones(2, 1)}, str(path))
        self.assertEqual(checkpoint.read(path)["weight"].tolist(), [[1.0], [1.0]])
        path.write_bytes(path.read_bytes()[:-1])
        with self.assertRaisesRegex(ImportRefused, "not a whole .safetensors file"):
            checkpoint.read(path)

    def test_files_that_would_run_code_are_refused_before_they_do(self) -> None:
        for name, content in [("a call", {"w": Evil()}), ("a whole network", nn.Linear(1, 1)), ("a class of numpy", {"epoch": __import__("numpy").float64(1)})]:
            for zipped in (True, False):
                with self.subTest(name, zipped=zipped):
                    torch.save(content, self.path, _use_new_zipfile_serialization=zipped)
                    with self.assertRaisesRegex(ImportRefused, "would run that code"):
                        checkpoint.read(self.path)
        torch.jit.script(nn.Linear(1, 1)).save(str(self.path))
        with self.assertRaisesRegex(ImportRefused, "TorchScript"):
            checkpoint.read(self.path)

    def test_what_is_no_checkpoint(self) -> None:
        for content, message in [(b"", "cannot read"), (b"\x08 no pickle", "cannot read"), (pickle.dumps([1], 2), "cannot read")]:
            with self.subTest(content):
                self.path.write_bytes(content)
                with self.assertRaisesRegex(ImportRefused, message):
                    checkpoint.read(self.path)
        torch.save({"epoch": 1}, self.path)
        with self.assertRaisesRegex(ImportRefused, "the keys epoch, and no state dict"):
            checkpoint.read(self.path)
        with self.assertRaisesRegex(ImportRefused, "no such file"):
            checkpoint.read(self.path.with_name("gone.pth"))


class Fitting(unittest.TestCase):
    def refusal(self, state: dict[str, torch.Tensor]) -> str:
        with self.assertRaises(ImportRefused) as caught:
            checkpoint.fit(nn.Linear(2, 1), state, Path("w.pth"), ignored=("head.",))
        return str(caught.exception)

    def test_every_difference_is_named(self) -> None:
        whole = nn.Linear(2, 1).state_dict()
        said = self.refusal({"weight": torch.ones(3, 1), "extra": torch.ones(1)})
        for part in ("w.pth: not a checkpoint of Linear", "missing: bias", "unexpected: extra", "weight is [3, 1] and not [1, 2]"):
            self.assertIn(part, said)
        self.assertIn("not finite in bias", self.refusal({**whole, "bias": torch.tensor([float("nan")])}))

    def test_ignored_names_and_counters_may_differ(self) -> None:
        state = {name: tensor for name, tensor in nn.BatchNorm1d(2).state_dict().items() if name != "num_batches_tracked"}
        state["weight"] = torch.tensor([3.0, 4.0])
        net = checkpoint.fit(nn.BatchNorm1d(2), {**state, "head.weight": torch.ones(1)}, Path("w.pth"), ignored=("head.",))
        self.assertEqual((net.weight.tolist(), net.training), ([3.0, 4.0], False))
