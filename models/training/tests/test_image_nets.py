"""The nets of images and the fakes that they learn from: shapes, the exact map, the size."""

import unittest

import numpy as np

try:
    import torch

    from detectors import image_classifier, image_data, image_fakes
    from detectors.efficient_net import EfficientClassifier
except ImportError:
    torch = None


def photograph(seed: int) -> np.ndarray:
    """uint8 [320, 320, 3]: smooth, with edges and some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:320, :320]
    plane = 120 + 60 * np.sin(x / 37 + seed) * np.cos(y / 23) + 30 * (x > y)
    return np.clip(plane[..., None] + [0, 10, -10] + rng.normal(0, 3, (320, 320, 3)), 0, 255).astype(np.uint8)


@unittest.skipUnless(torch, "torch is not installed: models/training/run sets it up")
class Net(unittest.TestCase):
    def test_the_mean_of_the_map_and_the_bias_are_the_logit(self) -> None:
        net = EfficientClassifier().eval()
        for side in (96, 256):
            with self.subTest(side=side), torch.no_grad():
                logits, places = net(torch.rand(2, 3, side, side) * 255)
                self.assertEqual((tuple(logits.shape), tuple(places.shape)), ((2, 1), (2, 1, side // 16, side // 16)))
                torch.testing.assert_close(places.mean((2, 3)) + net.head.bias, logits, atol=1e-5, rtol=0)

    def test_is_small(self) -> None:
        size = 4 * sum(parameter.numel() for parameter in EfficientClassifier().parameters())
        self.assertLess(size, 2_000_000)

    def test_every_block_learns(self) -> None:
        net = EfficientClassifier()
        net(torch.rand(4, 3, 64, 64) * 255)[0].sum().backward()
        still = [name for name, parameter in net.named_parameters() if not float(parameter.grad.abs().sum()) > 0]
        # A bias before a normalisation has none; here there is no such bias.
        self.assertEqual(still, [])


@unittest.skipUnless(torch, "torch is not installed: models/training/run sets it up")
class Fakes(unittest.TestCase):
    def test_random_decoders_keep_the_picture_and_leave_another_one_each_time(self) -> None:
        crops = np.stack([photograph(seed) for seed in range(3)])
        for kind in image_fakes.RANDOM:
            with self.subTest(kind=kind):
                first, again, other = (image_fakes.randomly_decoded(kind, crops, np.random.default_rng(seed)) for seed in (1, 1, 2))
                np.testing.assert_array_equal(first, again)
                self.assertTrue((first != other).any())
                for crop, made in zip(crops, first):
                    self.assertGreater(-10 * np.log10(((made.astype(float) - crop) ** 2).mean() / 255**2), 18)
                    self.assertTrue((made != crop).any())

    def test_doubling_without_unevenness_is_linear_interpolation(self) -> None:
        class Still:
            """A generator whose noise is none."""

            def uniform(self, low: float, high: float) -> float:
                return low

            def normal(self, mean: float, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
                return np.zeros(shape)

        picture = torch.from_numpy(photograph(0).transpose(2, 0, 1)[None].astype(np.float32) / 255)
        expected = torch.nn.functional.interpolate(picture, scale_factor=2.0, mode="bilinear")
        for kind in image_fakes.RANDOM:
            with self.subTest(kind=kind):
                made = image_fakes.random_doubling(kind, picture, Still())
                torch.testing.assert_close(made[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-5, rtol=0)

    def test_both_classes_of_a_batch_pass_the_same_chain(self) -> None:
        crops = np.stack([photograph(seed) for seed in range(3)])
        pixels, labels = next(image_classifier.batches(crops, {"same": crops}, 1, np.random.default_rng(0)))
        side = image_classifier.TRAIN_SIDE
        self.assertEqual((pixels.shape, pixels.dtype), ((image_classifier.BATCH, 3, side, side), np.float32))
        self.assertEqual(labels.sum(), image_classifier.BATCH / 2)
        self.assertTrue(0 <= pixels.min() and pixels.max() <= 255)

    def test_published_pictures_have_the_side_that_was_asked_for(self) -> None:
        for side in (48, 96, 192):
            for seed in range(20):
                made = image_data.publish(photograph(seed), np.random.default_rng(seed), side, resized=0.5, scales=(0.5, 1.4))
                self.assertEqual(made.shape, (side, side, 3))


if __name__ == "__main__":
    unittest.main()
