import importlib.util
import math
import unittest
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[3]
READY = all(importlib.util.find_spec(name) for name in ("torch", "scipy", "PIL", "skimage"))
needs_training = unittest.skipUnless(READY, "needs the training environment (models/training/run image --debug sets it up)")
PODS = READY and (REPOSITORY / "node_modules/.bin/node").exists()
needs_pod = unittest.skipUnless(PODS, "needs the training environment and the packages of package-lock.json (npm ci)")

if READY:
    import torch

    from detectors import sources, video_audio, video_fakes, video_golden, video_temporal
    from detectors.video_nets import JointHead

SIDE = 96


def face(ear: float = 0.3, turned: float = 0.0) -> np.ndarray:
    """[468, 3]: an outline and two eyes of that aspect ratio in a picture of 96 px; other points anywhere in the face."""
    points = np.random.default_rng(5).uniform(30, 66, (468, 2))
    angle = np.linspace(0, 2 * np.pi, len(video_fakes.OUTLINE), endpoint=False)
    points[list(video_fakes.OUTLINE)] = 48 + 30 * np.stack([np.sin(angle), -np.cos(angle)], 1)
    for eye, x in ((0, 36.0), (1, 60.0)):
        lids = np.linspace(-7, 7, 9) * (1 if eye == 0 else -1)
        height = ear * 14 / 2 * np.sqrt(np.maximum(0, 1 - (lids / 7) ** 2)) / math.sqrt(1 - (1 / 4) ** 2)
        points[list(video_fakes.UPPER[eye])] = np.stack([x + lids, 42 - height], 1)
        points[list(video_fakes.LOWER[eye])] = np.stack([x + lids, 42 + height], 1)
        points[list(((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))[eye])] = np.stack([x + np.linspace(-7, 7, 5), np.full(5, 33.0)], 1)
    points[168], points[6] = (48, 42), (48, 48)
    turn = np.array([[math.cos(turned), -math.sin(turned)], [math.sin(turned), math.cos(turned)]])
    return np.concatenate([(points - 48) @ turn.T + 48, np.zeros((468, 1))], 1).astype(np.float32)


def clip(count: int = 12) -> np.ndarray:
    return np.random.default_rng(1).integers(40, 200, (count, SIDE, SIDE, 3)).astype(np.uint8)


@needs_training
class Fakes(unittest.TestCase):
    def test_leave_what_is_far_from_the_face_as_it_was(self) -> None:
        frames, mesh = clip(), np.stack([face()] * 12)
        makers = {
            "flicker": video_fakes.self_blended("flicker"), "independent": video_fakes.self_blended("independent"), "colour": video_fakes.colour_flicker,
            "wander": video_fakes.colour_wander, "patch": video_fakes.colour_patch, "transfer": video_fakes.colour_transfer, "late": video_fakes.late_face,
            "swap": video_fakes.swapped(clip(3)[::-1], np.stack([face(0.25)] * 3)),
        }
        for name, maker in makers.items():
            with self.subTest(maker=name):
                made = maker(frames, mesh, np.random.default_rng(2))
                self.assertEqual((made.shape, made.dtype), (frames.shape, np.uint8))
                self.assertTrue((made[:, :4, :4] == frames[:, :4, :4]).all())
                self.assertGreater(np.abs(made[:, 40:70, 40:60].astype(int) - frames[:, 40:70, 40:60]).mean(), 0.5)

    def test_light_changes_all_of_a_picture(self) -> None:
        frames = np.full((6, 8, 8, 3), 100, np.uint8)
        made = video_fakes.light_change(frames, np.zeros((6, 468, 3)), np.random.default_rng(0))
        self.assertTrue(all(len(np.unique(frame[..., channel])) == 1 for frame in made for channel in range(3)))
        self.assertGreater(len(np.unique(made)), 1)

    def test_a_similarity_is_found_again(self) -> None:
        source = np.random.default_rng(0).random((9, 2)) * 50
        (a, b), (x, y) = video_fakes.similarity(source, source @ np.array([[1.2, -0.3], [0.3, 1.2]]).T + [4, -7])
        self.assertTrue(np.allclose([a, b, x, y], [1.2, 0.3, 4, -7]))

    def test_steps_keep_their_share_of_the_one_before(self) -> None:
        for keep in (0.0, 0.9):
            made = video_fakes.steady(4000, np.random.default_rng(0), 1, keep)[:, 0]
            self.assertAlmostEqual(float(np.corrcoef(made[1:], made[:-1])[0, 1]), keep, delta=0.05)
            self.assertAlmostEqual(float(made.std()), 1, delta=0.1)


@needs_training
class Eyes(unittest.TestCase):
    def test_openness_is_that_of_the_lids_however_the_head_is_turned(self) -> None:
        for ear, turned in ((0.3, 0.0), (0.1, 0.0), (0.3, 0.5)):
            with self.subTest(ear=ear, turned=turned):
                self.assertTrue(np.allclose(video_fakes.openness(face(ear, turned)), ear, atol=0.03))

    def test_runs_of_closed_eyes(self) -> None:
        rows = [
            ([0.3] * 6, []),
            ([0.3, 0.3, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3], [(2, 3)]),
            ([0.3, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3], []),
            ([0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.2, 0.2], [(0, 1), (8, 9)]),
        ]
        for ears, expected in rows:
            with self.subTest(ears=ears):
                self.assertEqual(video_fakes.closed_runs(np.array(ears)), expected)

    def test_lowered_lids_cover_the_eye_and_nothing_else(self) -> None:
        points, frame = face(), np.full((SIDE, SIDE, 3), 180, np.uint8)
        frame[39:46, 29:44] = 20
        made = video_fakes.lids_lowered(frame, points, (1.0, 0.0))
        self.assertGreater(made[40:43, 35:38].mean(), 120)
        self.assertTrue((made[:, 50:] == frame[:, 50:]).all() and (made[60:] == frame[60:]).all())
        self.assertTrue((video_fakes.lids_lowered(frame, points, (0.0, 0.0)) == frame).all())

    def test_eyes_come_from_the_frame_that_they_are_taken_from(self) -> None:
        dark, light = np.full((SIDE, SIDE, 3), 20, np.uint8), np.full((SIDE, SIDE, 3), 220, np.uint8)
        made = video_fakes.eyes_from(dark, face(), light, face(), (0,))
        self.assertGreater(made[42, 36].mean(), 200)
        self.assertEqual(made[42, 60].mean(), 20)

    def test_blinks_are_taken_out_and_one_eye_can_stay_open(self) -> None:
        ears = [0.3] * 6 + [0.1] * 3 + [0.3] * 6
        mesh = np.stack([face(ear) for ear in ears])
        frames = np.repeat(np.arange(15, dtype=np.uint8)[:, None, None, None] * 10, SIDE, 1).repeat(SIDE, 2).repeat(3, 3)
        opened = video_fakes.without_blinks(frames, mesh, np.random.default_rng(0))
        self.assertTrue((opened[6:9, 42, 36] == frames[2, 42, 36]).all())
        winked = video_fakes.one_eyed_blinks(frames, mesh, np.random.default_rng(0))
        changed = {x for x in (36, 60) if (winked[7, 42, x] != frames[7, 42, x]).any()}
        self.assertEqual(len(changed), 1)


@needs_training
class TemporalLoss(unittest.TestCase):
    def test_scores_that_jump_between_frames_cost_more_where_that_is_asked_for(self) -> None:
        calm, restless = torch.full((2, 8), 1.0), torch.tensor([[1.0, 3.0, -1.0, 3.0, 1.0, 1.0, -1.0, 3.0], [1.0] * 8])
        labels = torch.tensor([1.0, 0.0])
        self.assertAlmostEqual(float(video_temporal.loss_of(calm, labels, 0)), float(video_temporal.loss_of(restless, labels, 0)), places=5)
        self.assertAlmostEqual(float(video_temporal.loss_of(calm, labels, 0.5)), float(video_temporal.loss_of(calm, labels, 0)), places=6)
        # Of 14 steps inside the two clips, the first clip's have the squares 4, 16, 16, 4, 0, 4 and 16.
        self.assertAlmostEqual(float(video_temporal.loss_of(restless, labels, 0.5) - video_temporal.loss_of(restless, labels, 0)), 0.5 * 60 / 14, places=4)

    def test_neighbours_are_those_of_one_clip(self) -> None:
        steps = torch.cat([torch.full((1, 6), 5.0), torch.full((1, 6), -5.0)])
        labels = torch.tensor([1.0, 0.0])
        self.assertEqual(float(video_temporal.loss_of(steps, labels, 1.0)), float(video_temporal.loss_of(steps, labels, 0.0)))

    def test_the_whole_clip_is_spread_or_filled_up_with_its_first_frame(self) -> None:
        self.assertEqual(video_temporal.whole(36).tolist(), [0, 3, 6, 9, 12, 15, 19, 22, 25, 28, 31, 35])
        self.assertEqual(video_temporal.whole(10).tolist(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0])

    def test_frames_of_a_training_clip_are_in_order_and_there(self) -> None:
        for count in (8, 12, 20, 36):
            for seed in range(20):
                places = video_temporal.chosen_frames(count, np.random.default_rng(seed))
                self.assertEqual(len(places), video_temporal.SEQUENCE)
                self.assertTrue((0 <= places).all() and (places < count).all())


@needs_training
class Heads(unittest.TestCase):
    def test_what_is_missing_has_no_say(self) -> None:
        head, rng = JointHead().eval(), np.random.default_rng(0)
        frames, sound = (torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in ((2, 12, 392), (2, 3, 128)))
        with torch.no_grad():
            for presence, same in (((0.0, 1.0), sound[:1]), ((1.0, 0.0), frames[:1])):
                told = torch.tensor([presence, presence])
                given = (frames, same.repeat(2, 1, 1)) if presence[0] == 0 else (same.repeat(2, 1, 1), sound)
                first, second = head(*given, told)[:, 0].tolist()
                self.assertAlmostEqual(first, second, places=5)


@needs_pod
class ThePod(unittest.TestCase):
    """What is said here of files once more is what the pod says of them."""

    def test_cuts_sound_into_the_same_windows(self) -> None:
        from detectors import pod_tensors, video_media

        voice = np.sin(np.arange(3 * 16_000) ** 1.2 / 40).astype(np.float32) * 0.5
        path = video_golden.files("test", {"spoken": video_media.plain}, sounds={"spoken": voice})["spoken"]
        given = pod_tensors.given([path], pipeline=video_audio.PIPELINE)[0]
        heard = (sources.audio(path) * 32_768).astype(np.int16)
        self.assertEqual(given.tensors["encoder"].shape, (12, 3, 112, 112))
        self.assertLess(np.abs(given.tensors["audio"] - video_audio.spread_windows(heard)).max(), 1e-3)

    def test_counts_the_same_blinks(self) -> None:
        from detectors import pod_tensors, video_clips, video_cues

        path = video_golden.files("test", {"blinking": video_fakes.drawn_blinks}, 6.0)["blinking"]
        signals = pod_tensors.given([path], pipeline=video_cues.BLINK.pipeline)[0].signals
        mesh = pod_tensors.given([path], mesh={"rate": video_clips.RATE})[0].tensors["mesh"].reshape(-1, 468, 3)
        self.assertGreater(signals["blink_count"], 0)
        self.assertEqual(signals["blink_count"], len(video_fakes.closed_runs(video_fakes.openness(mesh).mean(1))))


if __name__ == "__main__":
    unittest.main()
