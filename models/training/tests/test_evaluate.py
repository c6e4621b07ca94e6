"""Packages on one's own data: what is scored, what is left out and said, and what is refused."""

import contextlib
import csv
import io
import json
import math
import shutil
import sys
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest import mock

import numpy as np

from detectors.datasets import DatasetError, Item
from detectors.judged import Judged, NotJudged
from detectors.pod import PodError, PodScorer

try:
    from detectors import evaluate, reference
    from detectors.reference import PackageError, ReferenceScorer
except ImportError:
    evaluate = None

MODELS = Path(__file__).resolve().parents[2]
needs_all = unittest.skipUnless(evaluate and shutil.which("ffmpeg"), "onnxruntime, Pillow or ffmpeg is not installed: models/training/run sets them up")


class ByName:
    """Scores that stand in the file's name; `-` is no score."""

    how = "names"

    def judge(self, path: Path) -> Judged:
        if path.stem.endswith("-"):
            raise NotJudged("too_short")
        score = float(path.stem.split("_")[1])
        return Judged(score, math.log(score / (1 - score)))


def item(name: str, label: int, source: str, split: str = "", generator: str = "gan") -> Item:
    return Item(Path(name), label, source, "", generator if label else "", split)


@needs_all
class Scoring(unittest.TestCase):
    items = [item("a_0.9.png", 1, "a"), item("b-.png", 1, "b"), item("a_0.2.png", 0, "a"), item("b_0.3.png", 0, "b"), item("b_0.25.png", 1, "b", generator="vae")]

    def test_what_gets_no_score_is_counted_and_left_out(self) -> None:
        scored = evaluate.score(ByName(), self.items)
        self.assertEqual((scored.scores.tolist(), scored.labels.tolist()), ([0.9, 0.2, 0.3, 0.25], [1, 0, 0, 1]))
        self.assertEqual(dict(scored.left_out), {"too_short": 1})
        with self.assertRaisesRegex(DatasetError, "not one of 1 files got a score: {'too_short': 1}"):
            evaluate.score(ByName(), self.items[1:2])

    def test_each_generator_stands_against_all_reals(self) -> None:
        found = evaluate.by_generator(evaluate.score(ByName(), self.items), np.array(list("aabb")), 20)
        self.assertEqual({name: (f["value"], f["fakes"], f["reals"]) for name, f in found.items()}, {"gan": (1.0, 1, 2), "vae": (0.5, 1, 2)})

    def test_test_files_are_chosen_where_the_manifest_has_splits(self) -> None:
        split = [item("x", 0, "a", "train"), item("y", 0, "b", "calibration"), item("z", 0, "c", "test")]
        with mock.patch("detectors.datasets.refuse_leakage"):
            picked, tuning = evaluate.chosen(split, None, Path("m.csv"))
        self.assertEqual(([i.source for i in picked], [i.source for i in tuning]), (["c"], ["b"]))
        self.assertEqual(evaluate.chosen(self.items, None, Path("m.csv")), (self.items, []))
        with self.assertRaisesRegex(DatasetError, "no file belongs to the split train"):
            evaluate.chosen(self.items, "train", Path("m.csv"))

    def test_numbers_that_are_none_are_null(self) -> None:
        self.assertEqual(json.dumps(evaluate.plain({"a": np.float64(math.nan), "b": [np.int64(2), True, 0.1234567]})), '{"a": null, "b": [2, true, 0.123457]}')


@needs_all
class Reference(unittest.TestCase):
    def test_shipped_packages_reproduce_their_golden_scores(self) -> None:
        for name in ("image-residual-cnn", "audio-spectrogram-cnn"):
            with self.subTest(package=name):
                scorer = ReferenceScorer(MODELS / name)
                golden = scorer.manifest["golden"][1]
                judged = scorer.judge(MODELS / name / golden["file"])
                self.assertAlmostEqual(judged.score, golden["score"], places=3)
                self.assertGreater(judged.logit, 0)

    def test_packages_that_cannot_be_trusted_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "package"
            shutil.copytree(MODELS / "image-residual-cnn", folder)
            text = (folder / "model.yaml").read_text()
            rows = [
                (text.replace("type: image-residual", "type: video-frames"), "family video-frames has no reference .* --pod URL"),
                (text.replace("score: 0.06161", "score: 0.5"), "0.06.. here and 0.5 in model.yaml"),
                (text.replace("sha256: b3", "sha256: b4"), "classifier.onnx is not what model.yaml pins"),
                ("formatVersion: 2", "no manifest of format version 1"),
            ]
            for manifest, message in rows:
                (folder / "model.yaml").write_text(manifest)
                with self.subTest(message=message), self.assertRaisesRegex(PackageError, message):
                    ReferenceScorer(folder)
        with self.assertRaisesRegex(PackageError, "has no model.yaml"):
            ReferenceScorer(MODELS)

    def test_files_with_too_little_in_them_get_no_score(self) -> None:
        scorer = ReferenceScorer(MODELS / "image-residual-cnn")
        with tempfile.TemporaryDirectory() as scratch:
            small, broken = Path(scratch) / "small.png", Path(scratch) / "broken.png"
            reference.Image.new("RGB", (100, 400)).save(small)
            broken.write_bytes(b"nothing")
            for path, reason in ((small, "100 px"), (broken, "cannot identify")):
                with self.subTest(reason=reason), self.assertRaisesRegex(NotJudged, reason):
                    scorer.judge(path)

    def test_whole_images_are_fitted_as_the_package_says(self) -> None:
        pixels = np.zeros((40, 80, 3), np.uint8)
        pixels[:, 20:60] = (255, 0, 0)
        base = {"size": {"width": 20, "height": 20}, "kernel": "nearest", "channels": "rgb", "layout": "nchw", "scale": 1 / 255, "mean": [0.5, 0, 0], "std": [0.5, 1, 1], "minSide": 16}
        rows = [("stretch", 0.0, -1.0), ("cover-center", 1.0, 1.0), ("contain-pad", -1.0, 0.0)]
        for fit, mean, corner in rows:
            with self.subTest(fit=fit):
                made = reference.whole(pixels, {**base, "fit": fit})
                self.assertEqual((made.shape, made.dtype), ((1, 3, 20, 20), np.float32))
                if fit != "contain-pad":
                    self.assertAlmostEqual(float(made[0, 0].mean()), mean, places=5)
                    self.assertEqual(float(made[0, 0, 0, 0]), corner)
                else:
                    self.assertEqual((float(made[0, 0, 0].max()), float(made[0, 0, 10, 10])), (-1.0, 1.0))
        swapped = reference.whole(pixels, {**base, "fit": "stretch", "channels": "bgr", "layout": "nhwc", "mean": [0, 0, 0.5], "std": [1, 1, 0.5]})
        self.assertEqual((swapped.shape, swapped[0, 10, 10].tolist()), ((1, 20, 20, 3), [0, 0, 1]))
        with self.assertRaisesRegex(ValueError, "40 px, at least 64 px"):
            reference.whole(pixels, {**base, "fit": "stretch", "minSide": 64})

    def test_logits_speak_for_fake_whatever_the_graph_says(self) -> None:
        rows = [
            ([[1.5, 0]], {"positive": "fake", "activation": "sigmoid"}, 1.5),
            ([[1.5, 0]], {"positive": "real", "activation": "sigmoid"}, -1.5),
            ([[1.0, 3.0]], {"positive": "fake", "activation": "softmax", "index": 1}, 2),
            ([[0.880797]], {"positive": "fake", "activation": "none"}, 2),
        ]
        for values, output, expected in rows:
            with self.subTest(output=output):
                self.assertAlmostEqual(float(reference.logits_of(np.array(values), output)[0]), expected, places=4)


@needs_all
class CommandLine(unittest.TestCase):
    def run_with(self, *arguments: str) -> tuple[str, str | None]:
        said, code = io.StringIO(), None
        with mock.patch.object(sys, "argv", ["evaluate", *arguments]), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                evaluate.main()
            except SystemExit as end:
                code = str(end.code)
        return said.getvalue(), code

    def test_a_folder_gives_results_scores_plots_and_robustness(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            data, out = Path(scratch) / "data", Path(scratch) / "out"
            for i, (label, name) in enumerate((("real", "real"), ("fake/gan", "fake"))):
                (data / label).mkdir(parents=True)
                for copy in range(2):
                    shutil.copy(MODELS / "image-residual-cnn/golden" / f"{name}.png", data / label / f"source{copy}.png")
            said, code = self.run_with(str(MODELS / "image-residual-cnn"), "--data", str(data), "--robustness", "--aggregate", "mean", "--rounds", "20", "--out", str(out))
            self.assertIsNone(code, said)
            results = json.loads((out / "results.json").read_text())
            self.assertEqual((results["figures"]["AUC"], results["data"]["generators"]), ({"value": 1.0, "low": 1.0, "high": 1.0}, ["gan"]))
            self.assertEqual([entry["step"] for entry in results["robustness"]], list(evaluate.augment.IMAGE_GRID))
            self.assertEqual((results["aggregated"]["units"], results["metadataControl"]["value"]), (4, None))
            with (out / "scores.csv").open() as stream:
                rows = list(csv.DictReader(stream))
            self.assertEqual([(r["path"], r["label"], r["score"][:5]) for r in rows][::3], [("real/source0.png", "real", "0.061"), ("fake/gan/source1.png", "fake", "0.998")])
            self.assertNotIn(scratch, (out / "results.json").read_text())
            if evaluate.plots.pyplot is not None:
                self.assertTrue(all((out / f"{name}.svg").stat().st_size > 2000 for name in ("reliability", "roc", "risk-coverage")))

    def test_wrong_data_end_with_one_clear_line(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            manifest = Path(scratch) / "m.csv"
            for name in ("a.wav", "b.wav"):
                (Path(scratch) / name).write_bytes(name.encode())
            header = "path,label,source,speaker,generator,split\n"
            rows = [
                ("", "--data", str(Path(scratch) / "none.csv"), "there is no such folder or manifest"),
                (header + "a.wav,real,s,,,\n", "--data", str(manifest), "image-residual-cnn judges image files"),
                (header + "a.wav,real,s,,,train\nb.wav,real,s,,,test\n", "--data", str(manifest), "1 sources are in more than one"),
            ]
            for text, *arguments, message in rows:
                manifest.write_text(text)
                with self.subTest(message=message):
                    _, code = self.run_with(str(MODELS / "image-residual-cnn"), *arguments)
                    self.assertRegex(code or "", "^run evaluate: .*" + message)


class Answers(BaseHTTPRequestHandler):
    """A pod that answers what the uploaded bytes say: `STATUS BODY`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert b'name="model"\r\n\r\nsome-model\r\n' in body and self.path == "/v1/detections"
        status, _, answer = body.split(b"octet-stream\r\n\r\n")[1].split(b"\r\n--")[0].partition(b" ")
        self.send_response(int(status))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        return


class Pod(unittest.TestCase):
    def setUp(self) -> None:
        self.server = HTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.scorer = PodScorer(f"http://127.0.0.1:{self.server.server_port}/", "some-model")

    def ask(self, content: str) -> Judged:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(content.encode())
            file.flush()
            return self.scorer.judge(Path(file.name))

    def test_scores_come_without_a_logit(self) -> None:
        judged = self.ask('200 {"score": 0.25}')
        self.assertTrue(judged.score == 0.25 and math.isnan(judged.logit))

    def test_files_without_a_score_are_told_from_pods_that_fail(self) -> None:
        rows = [
            ('200 {"score": null, "inconclusive_reasons": ["too_short", "silence"]}', NotJudged, "too_short, silence"),
            ('422 {"error": {"code": "corrupt_media"}}', NotJudged, "corrupt_media"),
            ("422 nonsense", NotJudged, "no reason given"),
            ('401 {"error": {"code": "unauthorized"}}', PodError, "answered 401 .* unauthorized"),
            ('404 {"detail": "no such model"}', PodError, "answered 404 .* no such model"),
            ("503 {}", PodError, "answered 503"),
        ]
        for content, kind, message in rows:
            with self.subTest(content=content), self.assertRaisesRegex(kind, message):
                self.ask(content)

    def test_a_pod_that_is_not_there_is_named(self) -> None:
        self.scorer.url = "http://127.0.0.1:1"
        with self.assertRaisesRegex(PodError, "http://127.0.0.1:1 does not answer"):
            self.ask("200 {}")


if __name__ == "__main__":
    unittest.main()
