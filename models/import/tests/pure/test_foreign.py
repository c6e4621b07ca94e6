"""What is said of a graph, asked for, and refused."""

import unittest
from dataclasses import replace

from importer.errors import ImportRefused
from importer.foreign import MESO4, End, Ends, Options, describe

ALL = Options(positive="fake", activation="sigmoid", fit="stretch", kernel="linear", channels="rgb", scale=1.0, mean=[0.0] * 3, std=[1.0] * 3)


def ends(shape: tuple[int | None, ...] = (None, 3, 224, 256), given: tuple[int | None, ...] = (None, 1), last: str = "Gemm", kind: str = "tensor(float)") -> Ends:
    return Ends((End("pixels", kind, shape),), (End("out", "tensor(float)", given),), {"out": last})


class Described(unittest.TestCase):
    def test_layout_and_size_come_from_the_input(self) -> None:
        for shape, layout in [((None, 3, 224, 256), "nchw"), ((1, 224, 256, 3), "nhwc")]:
            with self.subTest(shape):
                found = describe(ends(shape), ALL)
                self.assertEqual((found.layout, found.width, found.height), (layout, 256, 224))

    def test_probabilities_are_seen_by_the_last_operator(self) -> None:
        for last, activation in [("Sigmoid", "none"), ("Softmax", "none")]:
            self.assertEqual(describe(ends(last=last), replace(ALL, activation=None)).output["activation"], activation)

    def test_what_is_said_comes_before_what_is_seen(self) -> None:
        self.assertEqual(describe(ends(last="Sigmoid"), ALL).output["activation"], "sigmoid")

    def test_meso4_needs_no_options(self) -> None:
        found = describe(ends((None, 256, 256, 3), last="Sigmoid"), MESO4)
        self.assertEqual((found.layout, found.output), ("nhwc", {"positive": "real", "activation": "none", "index": 0}))


class Refused(unittest.TestCase):
    def test_everything_that_is_missing_is_named_at_once(self) -> None:
        with self.assertRaises(ImportRefused) as caught:
            describe(ends((None, 3, None, None), (None, 2)), Options())
        for option in ("positive", "activation", "index", "width", "height", "fit", "kernel", "channels", "scale", "mean", "std"):
            self.assertIn(f"--{option} (", str(caught.exception))

    def test_graphs_and_options_by_problem(self) -> None:
        two = Ends((End("a", "tensor(float)", (None, 3, 8, 8)), End("b", "tensor(float)", (None, 4))), (End("out", "tensor(float)", (None, 1)),), {})
        several = Ends(ends().inputs, (*ends().outputs, End("more", "tensor(float)", (None, 1))), {})
        for graph, options, message in [
            (two, ALL, "takes 2 inputs"),
            (several, ALL, r"--output out\|more"),
            (several, replace(ALL, output="other"), "no output other"),
            (ends((None, 80, 400)), ALL, r"pixels is \[any, 80, 400\]"),
            (ends((None, 3, 3, 3)), ALL, "image classifier takes"),
            (ends((8, 3, 64, 64)), ALL, "always 8 items"),
            (ends(kind="UINT8"), ALL, "pixels is UINT8"),
            (ends(), replace(ALL, width=300), "the graph takes 256"),
            (ends(given=(None, 2)), replace(ALL, index=2), r"--index 2"),
            (ends(), replace(ALL, heatmap="cam"), "no output cam"),
        ]:
            with self.subTest(message), self.assertRaisesRegex(ImportRefused, message):
                describe(graph, options)
