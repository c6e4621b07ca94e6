"""Faces: parts of pictures as the pod cuts them, the same face as MediaPipe finds, clips found by their bytes."""

import hashlib
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from detectors import views
from detectors.views import View

try:
    from PIL import Image

    from detectors import face_media
    from detectors.face_finder import Face, FaceFinder
except ImportError:
    face_media = None

REPOSITORY = Path(__file__).resolve().parents[3]
needs_environment = unittest.skipUnless(face_media, "Pillow and onnxruntime are not installed: models/training/run sets them up")


def ramp(height: int, width: int) -> np.ndarray:
    """Red rises to the right, green downwards."""
    down, across = np.mgrid[0:height, 0:width]
    return np.stack([across, down, across * 0 + 50], 2).astype(np.uint8)


class Views(unittest.TestCase):
    def test_a_view_of_the_same_size_is_the_picture(self) -> None:
        picture = ramp(20, 30)
        np.testing.assert_allclose(views.look(picture, View(15, 10, 30, 20), 30, 20, "black"), picture, atol=1e-4)

    def test_a_shrunk_ramp_keeps_the_colours_of_the_middles_of_its_pixels(self) -> None:
        made = views.look(ramp(120, 120), View(60, 60, 120, 120), 10, 10, "edge")
        np.testing.assert_allclose(made[5, :, 0], np.arange(10) * 12 + 5.5, atol=1e-4)

    def test_black_beyond_the_edge_or_the_edge_itself(self) -> None:
        picture = np.full((10, 10, 3), 200, np.uint8)
        for outside, level in (("black", 0), ("edge", 200)):
            with self.subTest(outside):
                self.assertAlmostEqual(float(views.look(picture, View(0, 5, 10, 10), 10, 10, outside)[5, 1, 0]), level, places=3)

    def test_turned_clockwise_by_a_right_angle_what_was_below_is_to_the_right(self) -> None:
        made = views.look(ramp(40, 40), View(20, 20, 40, 40, np.pi / 2), 40, 40, "edge")
        np.testing.assert_allclose(made[:, 30, 1], np.full(40, 30), atol=0.01)

    def test_a_tiny_turn_changes_little(self) -> None:
        picture = np.random.default_rng(3).integers(0, 256, (50, 60, 3)).astype(np.uint8)
        straight, turned = (views.look(picture, View(30, 25, 70, 64, radians), 24, 20, "black") for radians in (0.0, 1e-7))
        np.testing.assert_allclose(straight, turned, atol=1e-2)

    def test_the_square_of_a_box_keeps_its_middle_and_takes_its_longer_side(self) -> None:
        self.assertEqual(views.square_of(np.array([10, 20, 30, 50]), 0.5), View(25, 45, 100, 100))

    def test_halves_are_rounded_upwards(self) -> None:
        self.assertEqual(views.rounded(np.array([0.5, 1.5, 254.5, 300, -3])).tolist(), [1, 2, 255, 255, 0])


@needs_environment
class Finder(unittest.TestCase):
    def test_finds_what_mediapipe_finds_in_a_portrait(self) -> None:
        golden = json.loads((REPOSITORY / "inference/faces/golden/photograph-real.json").read_text())
        (face,) = FaceFinder().find(np.asarray(Image.open(REPOSITORY / golden["picture"]).convert("RGB")))
        expected = [golden["faces"][0]["box"][key] for key in ("x", "y", "width", "height")]
        np.testing.assert_allclose(face.box, expected, atol=3)
        np.testing.assert_allclose(face.landmarks, np.reshape(golden["landmarks"], (-1, 3)), atol=3)

    def test_finds_nothing_in_noise(self) -> None:
        self.assertEqual(FaceFinder().find(np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)), [])


@needs_environment
class Clips(unittest.TestCase):
    def clip(self, data: bytes, name: str = "one") -> "face_media.Clip":
        return face_media.Clip(name, "owner/name", "0" * 40, "a/clip.mp4", "MIT", len(data), hashlib.sha256(data).hexdigest())

    def test_a_clip_is_found_by_its_bytes_whatever_its_name(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.object(face_media, "CLIPS", Path(name) / "none"):
            folder = Path(name)
            (folder / "deep").mkdir()
            (folder / "deep/other-name.bin").write_bytes(b"frames")
            (folder / "same-size.mp4").write_bytes(b"nothin")
            self.assertEqual(face_media.fetch([self.clip(b"frames")], folder), {"one": folder / "deep/other-name.bin"})

    def test_one_error_names_every_clip_that_is_missing(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.object(face_media, "CLIPS", Path(name)), \
                mock.patch.object(face_media.urllib.request, "urlopen", side_effect=OSError("no network")):
            with self.assertRaisesRegex(face_media.ClipsError, r"2 of 2 clips are missing.*--clips(.|\n)*owner/name(.|\n)*no network"):
                face_media.fetch([self.clip(b"frames"), self.clip(b"others", "two")], Path(name))

    def test_other_bytes_than_those_listed_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name, mock.patch.object(face_media, "CLIPS", Path(name)), \
                mock.patch.object(face_media.urllib.request, "urlopen", lambda *_, **__: open("/dev/null", "rb")):
            with self.assertRaisesRegex(face_media.ClipsError, "has the sha256"):
                face_media.fetch([self.clip(b"frames")])

    def test_the_list_names_each_person_once_and_every_split_has_some(self) -> None:
        listed = face_media.clips()
        self.assertEqual(len({clip.sha256 for clip in listed}), len(listed))
        self.assertEqual({clip.split for clip in listed}, {"train", "calibration", "test"})
        self.assertLessEqual(face_media.CALIBRATION | face_media.TEST, {clip.name for clip in listed} | {"astronaut"})
        self.assertFalse(face_media.CALIBRATION & face_media.TEST)

    def test_a_person_is_followed_through_frames_without_a_face_and_beside_a_larger_one(self) -> None:
        def face(x: float, side: float) -> "Face":
            return Face(np.array([x, 0, side, side], float), 0.9, np.zeros((6, 2)))

        frames = [[face(0, 50), face(200, 40)], [], [face(210, 90), face(5, 50)]]
        self.assertEqual([(index, found.box[0]) for index, found in face_media.followed(frames)], [(0, 0), (2, 5)])

    def test_pictures_of_a_stream_keep_their_size(self) -> None:
        picture = ramp(4, 6)
        stream = b"P6\n6 4\n255\n" + picture.tobytes()
        made = list(face_media.ppm_images(stream * 2))
        self.assertEqual(len(made), 2)
        np.testing.assert_array_equal(made[1], picture)

    def test_landmarks_lie_in_the_crop_where_they_lay_in_the_frame(self) -> None:
        box = np.array([100, 50, 60, 60], np.float32)
        points = face_media.in_crop(np.array([[100, 50, 0], [130, 80, 5]]), views.square_of(box, 0.5))
        np.testing.assert_allclose(points, [[64, 64], [128, 128]], atol=1e-4)


if __name__ == "__main__":
    unittest.main()
