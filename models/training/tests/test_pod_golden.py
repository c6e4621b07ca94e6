"""Golden files that the pod's own program measures."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from detectors import pod_golden


class Measured(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def measured(self, script: str) -> str:
        """What is printed where the program is this shell script."""
        program = self.folder / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        printed = io.StringIO()
        with mock.patch.object(pod_golden, "program", return_value=[str(program)]), contextlib.redirect_stdout(printed):
            pod_golden.measure(self.folder, [Path("/media/a b.mp4"), Path("/media/c.mp4")], 0.03)
        return printed.getvalue()

    def test_the_program_gets_whole_paths_and_its_lines_are_shown(self) -> None:
        kept = self.folder / "arguments"
        printed = self.measured(f"printf '%s\\n' \"$@\" > {kept}; echo 'golden/a-b.mp4: 0.5 ± 0.03 (SUSPICIOUS)' >&2; echo sha256:0")
        self.assertEqual(printed, "  golden a-b.mp4: 0.5 ± 0.03 (SUSPICIOUS)\n")
        expected = [os.path.realpath(self.folder), "--add", "/media/a b.mp4", "--add", "/media/c.mp4", "--tolerance", "0.03"]
        self.assertEqual(kept.read_text().splitlines(), expected)

    def test_a_refusal_is_one_line(self) -> None:
        with self.assertRaisesRegex(pod_golden.GoldenError, "^golden: a.mp4: the model does not judge it$"):
            self.measured("echo a warning >&2; echo 'deepfake-inference: golden: a.mp4: the model does not judge it' >&2; exit 1")
        with self.assertRaisesRegex(pod_golden.GoldenError, "^exit 3$"):
            self.measured("exit 3")

    def test_a_program_that_is_not_there(self) -> None:
        with mock.patch.object(pod_golden, "program", return_value=["/nonexistent/node"]):
            with self.assertRaisesRegex(pod_golden.GoldenError, "cannot be started .*npm ci"):
                pod_golden.measure(self.folder, [], 0.02)

    def test_the_command_for_a_person_can_be_pasted(self) -> None:
        self.assertEqual(pod_golden.told(Path("/models/my face")), "node inference/main.ts golden '/models/my face' --add FILE")


if __name__ == "__main__":
    unittest.main()
