"""Folders and manifests as datasets, and splits that leak nothing."""

import tempfile
import unittest
from pathlib import Path

from detectors import datasets
from detectors.datasets import DatasetError, Item, Leakage

HEADER = "path,label,source,speaker,generator,split\n"


class InFolder(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def files(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    def manifest(self, text: str, name: str = "data.csv") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


class Folders(InFolder):
    def test_classes_generators_and_pairs_come_from_names(self) -> None:
        self.files("real/a.png", "fake/gan/a.jpg", "fake/b.webp", "fake/notes.txt")
        found = [(i.path.name, i.label, i.source, i.generator) for i in datasets.load(self.folder)]
        self.assertEqual(found, [("a.png", 0, "a", ""), ("b.webp", 1, "b", "unknown"), ("a.jpg", 1, "a", "gan")])

    def test_a_missing_or_empty_class_is_named(self) -> None:
        with self.assertRaisesRegex(DatasetError, "real/ is missing"):
            datasets.load(self.folder)
        self.files("real/a.png", "fake/readme.md")
        with self.assertRaisesRegex(DatasetError, "fake: holds no images"):
            datasets.load(self.folder)


class Manifests(InFolder):
    def test_csv_and_tsv_say_the_same(self) -> None:
        self.files("a.png", "b.png")
        text = HEADER + "a.png,real,one,ann,,train\nb.png,fake,one,ann,gan,test\n"
        expected = [Item(self.folder / "a.png", 0, "one", "ann", "", "train"), Item(self.folder / "b.png", 1, "one", "ann", "gan", "test")]
        self.assertEqual(datasets.load(self.manifest(text)), expected)
        self.assertEqual(datasets.load(self.manifest(text.replace(",", "\t"), "data.tsv")), expected)
        self.assertEqual(datasets.load(self.folder / "data.csv", "test"), expected[1:])

    def test_what_is_written_is_read_again(self) -> None:
        self.files("x/a.png")
        items = [Item(self.folder / "x/a.png", 1, "a, b", "", 'the "best"', "test")]
        datasets.write(items, self.folder / "out.csv")
        self.assertEqual(datasets.load(self.folder / "out.csv"), items)

    def test_every_problem_says_where(self) -> None:
        self.files("a.png")
        rows = [
            ("path,label\na.png,real\n", "lacks the columns source, speaker, generator; it has path, label"),
            ("", "lacks the columns path"),
            (HEADER, "lists no files"),
            (HEADER + "a.png,real,s,,\n", "data.csv:2: has another number of values"),
            (HEADER + "a.png,real,s,,,,\n", "data.csv:2: has another number of values"),
            (HEADER + "a.png,true,s,,,\n", "data.csv:2: label is 'true'"),
            (HEADER + "a.png,real,,,,\n", "data.csv:2: source is empty"),
            (HEADER + "a.png,fake,s,,,\n", "needs its generator's name"),
            (HEADER + "a.png,real,s,,gan,\n", "a real file has no generator"),
            (HEADER + "a.png,real,s,,,dev\n", "split is 'dev'"),
            (HEADER + "a.png,real,s,,,\nb.png,real,s,,,\n", "1 of 2 files are not there: .*b.png"),
            (HEADER + "a.png,real,s,,,\na.png,real,s,,,\n", "lists 1 files twice"),
        ]
        for text, message in rows:
            with self.subTest(message=message), self.assertRaisesRegex(DatasetError, message):
                datasets.load(self.manifest(text))

    def test_missing_manifests_splits_and_other_formats_are_refused(self) -> None:
        self.files("a.png")
        with self.assertRaisesRegex(DatasetError, "no such folder or manifest"):
            datasets.load(self.folder / "gone.csv")
        with self.assertRaisesRegex(DatasetError, "ends in .csv or .tsv"):
            datasets.load(self.manifest("x", "data.json"))
        with self.assertRaisesRegex(DatasetError, r"split test; there are \(none\)"):
            datasets.load(self.manifest(HEADER + "a.png,real,s,,,\n"), "test")


def item(source: str, speaker: str = "", generator: str = "", split: str = "") -> Item:
    return Item(Path(f"{source}-{generator}"), int(bool(generator)), source, speaker, generator, split)


class Splits(unittest.TestCase):
    shares = {"train": 0.6, "calibration": 0.2, "test": 0.2}

    def test_no_source_or_speaker_is_on_two_sides(self) -> None:
        items = [item(f"s{i}", f"p{i // 3}", g) for i in range(90) for g in ("", "gan", "vae")]
        for seed in range(5):
            with self.subTest(seed=seed):
                split = datasets.divided(items, self.shares, seed)
                datasets.refuse_leakage(split, by=("source", "speaker"), contents=False)
                self.assertEqual({s: sum(i.split == s for i in split) for s in self.shares}, {"train": 162, "calibration": 54, "test": 54})

    def test_the_seed_decides(self) -> None:
        items = [item(f"s{i}") for i in range(40)]
        self.assertEqual(datasets.divided(items, self.shares, 1), datasets.divided(items, self.shares, 1))
        self.assertNotEqual(datasets.divided(items, self.shares, 1), datasets.divided(items, self.shares, 2))

    def test_files_hang_together_through_others(self) -> None:
        found = datasets.connected([item("a", "x"), item("b", "x"), item("b", "y"), item("c")], ("source", "speaker"))
        self.assertEqual(sorted(map(sorted, found)), [[0, 1, 2], [3]])

    def test_what_hangs_together_is_not_torn_apart(self) -> None:
        items = [item(f"s{i}", "", "gan") for i in range(10)]
        with self.assertRaisesRegex(DatasetError, "10 of them hang together by source, generator"):
            datasets.divided(items, self.shares, 1, by=("source", "generator"))

    def test_shares_have_to_add_up(self) -> None:
        for shares in ({"train": 0.5}, {"train": 1.0, "test": 0.0}, {"dev": 1.0}):
            with self.subTest(shares=shares), self.assertRaisesRegex(DatasetError, "add up to 1"):
                datasets.divided([item("a")], shares, 1)

    def test_held_out_generators_are_in_the_test_alone(self) -> None:
        items = [item(s, "", g, s) for s in ("train", "test") for g in ("", "old", "new")]
        kept = datasets.without_generators(items, {"new"})
        self.assertEqual([(i.split, i.generator) for i in kept], [("train", ""), ("train", "old"), ("test", ""), ("test", "new")])
        datasets.refuse_leakage(kept, contents=False)
        with self.assertRaisesRegex(DatasetError, "no fakes by newest; there are some by new, old"):
            datasets.without_generators(items, {"newest"})


class LeakageCheck(InFolder):
    def test_each_kind_of_leakage_is_named(self) -> None:
        self.files("a.png", "b.png")
        (self.folder / "same.png").write_bytes(b"a.png")
        a, b, same = (self.folder / name for name in ("a.png", "b.png", "same.png"))
        rows = [
            ([Item(a, 0, "s", split="train"), Item(b, 0, "s", split="test")], "1 sources are in more than one .*: s"),
            ([Item(a, 0, "s", "ann", split="train"), Item(b, 0, "t", "ann", split="calibration")], "1 speakers .*: ann"),
            ([Item(a, 1, "s", "", "gan", "train"), Item(b, 1, "t", "", "gan", "test")], "1 generators .*: gan"),
            ([Item(a, 0, "s", split="train"), Item(same, 0, "t", split="test")], "1 files .*a.png, .*same.png"),
        ]
        for items, message in rows:
            with self.subTest(message=message), self.assertRaisesRegex(Leakage, message):
                datasets.refuse_leakage(items)

    def test_a_clean_split_passes_and_an_unsplit_one_does_not(self) -> None:
        self.files("a.png", "b.png")
        a, b = self.folder / "a.png", self.folder / "b.png"
        datasets.refuse_leakage([Item(a, 0, "s", split="train"), Item(b, 0, "t", split="test")])
        with self.assertRaisesRegex(DatasetError, "have no split"):
            datasets.refuse_leakage([Item(a, 0, "s", split="train"), Item(b, 0, "t")])


if __name__ == "__main__":
    unittest.main()
