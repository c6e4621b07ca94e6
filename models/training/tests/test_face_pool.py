"""What detectors of faces are trained on: both classes pass one chain, cuts are those of the pod, segments are of one person."""

import unittest

import numpy as np

try:
    from detectors import face_cards, face_pool
    from detectors.face_media import Track
    from detectors.face_pool import Chain, Run
except ImportError:
    face_pool = None


def track(count: int = 40, name: str = "d9") -> "Track":
    """A grey face in a corner of its frames, whose crops are black to the left and above."""
    rng = np.random.default_rng(3)
    crops = rng.integers(60, 200, (count, 256, 256, 3)).astype(np.uint8)
    crops[:, :64] = crops[:, :, :64] = 0
    boxes = np.tile(np.float32([0, 0, 100, 100]), (count, 1))
    angles = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    landmarks = np.stack([50 + 35 * np.cos(angles), 50 + 45 * np.sin(angles), 0 * angles], 1).astype(np.float32)
    places = np.arange(count)
    return Track(name, crops, boxes, np.tile(landmarks, (count, 1, 1)), places / 15, places, (400, 300))


@unittest.skipUnless(face_pool, "Pillow, torch and onnxruntime are not installed: models/training/run sets them up")
class Pools(unittest.TestCase):
    def test_a_run_is_as_many_reals_as_fakes_and_the_same_again(self) -> None:
        run = Run(track(), np.arange(4), 11)
        made = face_pool.crops_of(run)
        self.assertEqual(made.shape, (2, 4, 120, 120, 3))
        self.assertGreater(np.abs(made[0].astype(int) - made[1]).max(), 10)
        np.testing.assert_array_equal(made, face_pool.crops_of(run))

    def test_what_lies_outside_the_frame_stays_black_whatever_is_changed(self) -> None:
        inside = face_pool.Inside(track(), 0, 128)
        made = inside.changed(np.zeros((128, 128, 3), np.uint8), np.full((468, 2), 64, np.float32), lambda crop, at: crop + np.uint8(at[0, 0]))
        self.assertEqual((made[:32].max(), made[:, :32].max(), made[32:, 32:].min()), (0, 0, 32))

    def test_every_person_has_about_as_many_crops(self) -> None:
        runs = face_pool.runs_of([track(40), track(160, "s13")], 100, 1)
        for name in ("d9", "s13"):
            self.assertEqual(sum(len(run.places) for run in runs if run.track.name == name), 100)
        self.assertEqual(len({run.seed for run in runs}), len(runs))

    def test_the_chain_scales_and_codes_and_without_a_step_it_is_the_frames(self) -> None:
        frames = np.random.default_rng(2).integers(0, 256, (3, 64, 48, 3)).astype(np.uint8)
        np.testing.assert_array_equal(face_pool.published(frames, Chain(1.0, 0.0, "none", 0), 1), frames)
        for codec, level in (("jpeg", 60), ("h264", 28)):
            with self.subTest(codec):
                made = face_pool.published(frames, Chain(0.5, 2.0, codec, level), 1)
                self.assertEqual(made.shape, (3, 32, 24, 3))

    def test_segments_lie_in_the_track_and_stills_are_single_frames(self) -> None:
        for video, length in ((True, 8), (False, 1)):
            with self.subTest(video=video):
                found = face_pool.segments(track(90), video, 4)
                self.assertEqual([len(places) for places in found], [length] * 4)
                self.assertLess(max(places[-1] for places in found), 90)
        self.assertEqual(face_pool.segments(track(20), True, 4), [])

    def test_each_maker_changes_the_face_and_nothing_beyond_its_square(self) -> None:
        frames = np.random.default_rng(5).integers(60, 200, (90, 400, 300, 3)).astype(np.uint8)
        (job, *_) = face_pool.jobs_of([track(90), track(90, "s13")], 1, False, 2)
        kinds = ("self-blended", "swap", "autoencoder")
        real, *fakes = (face_pool.upload(job, frames, kind, lambda pictures: 255 - pictures, False) for kind in ("real", *kinds))
        self.assertEqual([made.maker for made in (real, *fakes)], ["real", *kinds])
        self.assertEqual({made.chain for made in fakes}, {real.chain})
        for fake in fakes:
            with self.subTest(fake.maker):
                self.assertEqual(fake.frames.shape, real.frames.shape)
                self.assertTrue((fake.frames != real.frames).any())
        with self.assertRaisesRegex(ValueError, "no maker of fakes is called 'magic'"):
            face_pool.upload(job, frames, "magic", lambda pictures: pictures, False)


@unittest.skipUnless(face_pool, "Pillow, torch and onnxruntime are not installed: models/training/run sets them up")
class Cards(unittest.TestCase):
    def test_a_line_for_each_data_set_and_a_dash_for_what_was_not_measured(self) -> None:
        counts = {"positives": 3, "negatives": 1}
        rows = [
            {"dataset": "a", "metric": "AUC", "value": 0.9, "low": 0.8, "high": 1.0, **counts},
            {"dataset": "a", "metric": "coverage (answered share)", "value": 0.5, **counts},
        ]
        self.assertEqual(face_cards.table(rows).splitlines()[2:], ["| a | 0.900 [0.800, 1.000] | - | 0.500 | - | 3 + 1 |"])

    def test_a_pan_moves_and_keeps_its_size(self) -> None:
        made = face_cards.panned([np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8)] * 3)
        self.assertEqual(made.shape, (3, 320, 320, 3))
        self.assertTrue((made[0] != made[2]).any())


if __name__ == "__main__":
    unittest.main()
