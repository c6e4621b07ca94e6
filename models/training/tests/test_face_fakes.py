"""Fakes of faces: masks, changes, blends, warps, and what a package makes of frames."""

import math
import unittest
from dataclasses import replace

import numpy as np

from detectors import face_fakes, face_judge
from detectors.gate import status_of
from detectors.views import View

SIDE = 128


def portrait(seed: int = 1) -> np.ndarray:
    """Something smooth with some grain."""
    down, across = np.mgrid[0:SIDE, 0:SIDE]
    grain = np.random.default_rng(seed).normal(0, 6, (SIDE, SIDE, 3))
    return np.clip(np.stack([80 + across / 2, 90 + down / 2, 120 + (across - down) / 4], 2) + grain, 0, 255).astype(np.uint8)


def landmarks(x: float = 64, y: float = 64, radius: float = 30, seed: int = 2) -> np.ndarray:
    """468 points in an ellipse, those of its edge included."""
    rng = np.random.default_rng(seed)
    angles = np.concatenate([np.linspace(0, 2 * np.pi, 68, endpoint=False), rng.uniform(0, 2 * np.pi, 400)])
    reach = np.concatenate([np.ones(68), np.sqrt(rng.uniform(0, 0.9, 400))]) * radius
    return np.stack([x + 0.8 * reach * np.cos(angles), y + reach * np.sin(angles)], 1).astype(np.float32)


def recipe(**changes: object) -> face_fakes.Recipe:
    nothing = face_fakes.Change(np.ones(3), np.zeros(3), 1.0, 1.0, 0.0, np.zeros(2), 1.0, 0.0)
    plain = face_fakes.Recipe("face", 0.0, np.zeros((4, 4, 2)), 0.02, 1.0, nothing, True)
    change = {name: changes.pop(name) for name in list(changes) if name in nothing.__dict__}
    return replace(plain, change=replace(nothing, **change), **changes)


class Masks(unittest.TestCase):
    def test_the_hull_of_a_square_with_points_in_it_is_its_corners(self) -> None:
        points = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2], [1, 3], [2, 0]])
        self.assertEqual({tuple(corner) for corner in face_fakes.hull_of(points)}, {(0, 0), (4, 0), (4, 4), (0, 4)})

    def test_one_inside_the_face_and_nothing_outside(self) -> None:
        mask = face_fakes.mask_of(landmarks(), SIDE, SIDE, recipe())
        self.assertEqual((mask[64, 64], mask[64, 5], mask[5, 64]), (1, 0, 0))
        self.assertAlmostEqual(float(mask[64, 88]), 0.5, delta=0.45)

    def test_a_grown_mask_is_larger_and_a_soft_one_has_a_wider_edge(self) -> None:
        plain, grown, soft = (face_fakes.mask_of(landmarks(), SIDE, SIDE, made) for made in (recipe(), recipe(grown=0.1), recipe(softness=0.3)))
        self.assertGreater(grown.sum(), 1.2 * plain.sum())
        self.assertGreater(((soft > 0.05) & (soft < 0.95)).sum(), 3 * ((plain > 0.05) & (plain < 0.95)).sum())

    def test_a_bent_mask_is_another_one(self) -> None:
        bends = np.random.default_rng(4).normal(0, 0.05, (4, 4, 2))
        apart = np.abs(face_fakes.mask_of(landmarks(), SIDE, SIDE, recipe(bends=bends)) - face_fakes.mask_of(landmarks(), SIDE, SIDE, recipe()))
        self.assertGreater((apart > 0.5).sum(), 50)

    def test_the_same_recipe_means_the_same_at_half_the_size(self) -> None:
        large = face_fakes.mask_of(landmarks(), SIDE, SIDE, recipe(softness=0.2))
        small = face_fakes.mask_of(landmarks() / 2, SIDE // 2, SIDE // 2, recipe(softness=0.2))
        np.testing.assert_allclose(small, large[::2, ::2], atol=0.02)


class Blends(unittest.TestCase):
    def test_no_change_is_the_picture_itself(self) -> None:
        np.testing.assert_array_equal(face_fakes.self_blended(portrait(), landmarks(), recipe()), portrait())

    def test_a_colour_stays_on_its_side_of_the_seam(self) -> None:
        for inside, (face, corner) in ((True, (20, 0)), (False, (0, 20))):
            with self.subTest(inside=inside):
                made = face_fakes.self_blended(portrait(), landmarks(), recipe(offset=np.full(3, 20.0), inside=inside)).astype(int) - portrait()
                self.assertEqual((made[64, 64, 0], made[3, 3, 0]), (face, corner))

    def test_half_a_ratio_is_half_a_change(self) -> None:
        made = face_fakes.self_blended(portrait(), landmarks(), recipe(offset=np.full(3, 20.0), ratio=0.5)).astype(int)
        self.assertEqual(made[64, 64, 0] - portrait()[64, 64, 0], 10)

    def test_blur_and_lost_resolution_take_grain_away_and_sharpening_adds_some(self) -> None:
        def grain(picture: np.ndarray) -> float:
            return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())

        plain = grain(portrait())
        for change, least, most in (({"sharpness": -0.02}, 0, 0.8), ({"reduced": 0.4}, 0, 0.7), ({"sharpness": 0.8}, 1.1, 3)):
            with self.subTest(change):
                share = grain(face_fakes.changed(portrait(), landmarks(), recipe(**change).change)) / plain
                self.assertTrue(least < share < most, share)

    def test_a_shift_moves_the_face_by_its_share_and_a_zoom_keeps_the_middle(self) -> None:
        dot = np.zeros((SIDE, SIDE, 3), np.uint8)
        points = landmarks(50, 70)
        dot[69:72, 49:52] = 255
        size = face_fakes.size_of(points)

        def where(change: face_fakes.Change) -> tuple[float, float]:
            made = face_fakes.changed(dot, points, change)[..., 0]
            down, across = np.mgrid[0:SIDE, 0:SIDE]
            return float((across * made).sum() / made.sum()), float((down * made).sum() / made.sum())

        np.testing.assert_allclose(where(recipe(shift=np.array([0.1, -0.2])).change), (50 + 0.1 * size, 70 - 0.2 * size), atol=0.3)
        np.testing.assert_allclose(where(recipe(zoom=1.2, turn=0.3).change), (50, 70), atol=0.6)

    def test_recipes_differ_between_frames_as_the_mode_says(self) -> None:
        def steps(mode: str) -> float:
            made = face_fakes.recipes_over(12, np.random.default_rng(8), mode)
            return float(np.mean([np.abs(a.change.gain - b.change.gain).mean() for a, b in zip(made, made[1:])]))

        self.assertGreater(steps("independent"), steps("flicker"))
        self.assertGreater(steps("flicker"), 2 * steps("smooth"))
        self.assertGreater(steps("smooth"), 0)
        with self.assertRaisesRegex(ValueError, "not 'wild'"):
            face_fakes.recipes_over(2, np.random.default_rng(1), "wild")

    def test_the_same_draws_make_the_same_fake(self) -> None:
        made = [face_fakes.self_blended(portrait(), landmarks(), face_fakes.drawn(np.random.default_rng(5))) for _ in range(2)]
        np.testing.assert_array_equal(*made)


class Swaps(unittest.TestCase):
    def test_a_warp_takes_each_anchor_to_its_own(self) -> None:
        here, there = landmarks()[:30], landmarks(60, 70, 24, seed=3)[:30]
        x, y = face_fakes.warp_of(here, there, SIDE, SIDE)
        columns, rows = here.round().astype(int).T
        np.testing.assert_allclose(np.stack([x[rows, columns], y[rows, columns]], 1), there, atol=1.2)

    def test_another_face_lies_in_the_mask_alone_with_the_colours_of_this_one(self) -> None:
        donor = 255 - portrait(9)
        made = face_fakes.pasted(portrait(), landmarks(), donor, landmarks(58, 66, 26), recipe())
        mask = face_fakes.mask_of(landmarks(), SIDE, SIDE, recipe())
        np.testing.assert_array_equal(made[mask == 0], portrait()[mask == 0])
        np.testing.assert_allclose(made[mask == 1].mean(0), portrait()[mask == 1].mean(0), atol=6)
        self.assertGreater(np.abs(made[mask == 1].astype(int) - portrait()[mask == 1]).mean(), 3)

    def test_a_frame_changes_inside_the_view_alone_even_beyond_its_edge(self) -> None:
        frame = np.full((60, 80, 3), 100, np.uint8)
        made = face_fakes.in_frame(frame, View(70, 30, 40, 40), np.full((468, 3), 70.0), lambda crop, at: crop + np.uint8(at[0, 0]))
        self.assertEqual(made.shape, frame.shape)
        self.assertTrue((made[10:50, 50:] == 120).all())
        self.assertTrue((made[:, :50] == 100).all() and (made[:10] == 100).all())


class Judging(unittest.TestCase):
    RULE = {"method": "confident", "high": 0.8, "fakeShare": 0.4, "fakeFrames": 2, "low": 0.2, "realShare": 0.9}

    def test_sure_frames_decide_where_there_are_enough(self) -> None:
        rows = [
            ("enough fakes", [0.9, 0.95, 0.85, 0.1], 0.9),
            ("too few of them", [0.9, 0.95, 0.1, 0.1], 0.5125),
            ("nearly all real", [0.1] * 19 + [0.9], 0.1),
            ("not all real", [0.1, 0.1, 0.5], 0.7 / 3),
        ]
        for name, scores, expected in rows:
            with self.subTest(name):
                self.assertAlmostEqual(face_judge.confident_mean(np.array(scores), self.RULE), expected)

    def test_logits_come_back_as_logits_and_stay_finite(self) -> None:
        self.assertAlmostEqual(face_judge.aggregated(np.array([2.0, 2.0, 2.0]), self.RULE), 2.0)
        self.assertTrue(math.isfinite(face_judge.aggregated(np.full(9, 1000.0), self.RULE)))
        self.assertAlmostEqual(face_judge.aggregated(np.array([1.0, 3.0]), "mean-logit"), 2.0)


    def test_the_face_most_like_a_fake_stands_for_its_frame_and_too_few_frames_say_nothing(self) -> None:
        levels = np.array([10, 200, 100])
        crops = np.broadcast_to(levels[:, None, None, None], (3, 2, 2, 3)).astype(np.uint8)
        shown = face_judge.Shown(crops, np.array([0, 0, 1]))
        plain = {"pixels": {"mean": [0, 0, 0], "std": [1, 1, 1]}}

        def brightness(batch: np.ndarray) -> np.ndarray:
            return batch.mean((1, 2, 3))

        self.assertAlmostEqual(face_judge.logit_of(shown, plain, brightness), 150 / 255, places=5)
        self.assertIsNone(face_judge.logit_of(shown, {**plain, "minFrames": 3}, brightness))


class Gate(unittest.TestCase):
    def rows(self, low: float | None, control: tuple[float, float] | None) -> list[dict]:
        auc = {"dataset": "others", "metric": "AUC", "value": 0.8} | ({} if low is None else {"low": low, "high": 0.9})
        made = [auc, {"dataset": "own", "metric": "AUC", "value": 0.99, "low": 0.98, "high": 1.0}]
        return made if control is None else [*made, {"dataset": "others", "metric": "metadata-only control AUC", "low": control[0], "high": control[1]}]

    def test_what_proves_a_detector(self) -> None:
        table = [
            ("above the bar, control at chance", 0.61, (0.4, 0.6), {"others"}, "validated"),
            ("not above the bar", 0.6, (0.4, 0.6), {"others"}, "demonstration"),
            ("metadata tell", 0.7, (0.55, 0.7), {"others"}, "demonstration"),
            ("no interval", None, (0.4, 0.6), {"others"}, "demonstration"),
            ("no control", 0.7, None, {"others"}, "demonstration"),
            ("own generators alone", 0.7, (0.4, 0.6), set(), "demonstration"),
            ("one of two sets is missing", 0.7, (0.4, 0.6), {"others", "more"}, "demonstration"),
        ]
        for name, low, control, foreign, expected in table:
            with self.subTest(name):
                self.assertEqual(status_of(self.rows(low, control), foreign), expected)


if __name__ == "__main__":
    unittest.main()
