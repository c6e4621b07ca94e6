"""Filters inside graphs: what they pass, stop and keep."""

import unittest

import numpy as np

from importer import filters


def response(taps: np.ndarray, hertz: float, rate: int) -> float:
    return abs(np.sum(taps * np.exp(-2j * np.pi * hertz / rate * np.arange(taps.size))))


class SincBank(unittest.TestCase):
    def test_wide_bands_pass_their_middle_and_stop_what_is_far(self) -> None:
        bank = filters.sinc_bank(10, 257, 16_000)
        edges = filters.mel_to_hertz(np.linspace(0, filters.hertz_to_mel(8_000), 11))
        for index in range(5, 10):
            with self.subTest(index=index):
                middle = (edges[index] + edges[index + 1]) / 2
                self.assertAlmostEqual(response(bank[index], middle, 16_000), 1, delta=0.05)
                self.assertLess(response(bank[index], edges[1], 16_000), 0.01)

    def test_all_bands_together_are_one_sample(self) -> None:
        together = filters.sinc_bank(70, 129, 16_000).sum(0)
        np.testing.assert_allclose(together, np.eye(129)[64], atol=1e-12)

    def test_an_even_number_of_taps_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "128 taps"):
            filters.sinc_bank(70, 128, 16_000)


class MelBank(unittest.TestCase):
    def test_bands_rise_in_frequency_and_have_the_area_of_their_norm(self) -> None:
        bank = filters.mel_bank(40, 2048, 16_000)
        self.assertEqual(bank.shape, (40, 1025))
        self.assertTrue((np.diff(bank.argmax(1)) > 0).all())
        np.testing.assert_allclose(bank.sum(1) * 16_000 / 2048, 1, rtol=0.06)


class Pictures(unittest.TestCase):
    def test_pixels_show_the_cell_that_they_lie_in(self) -> None:
        self.assertEqual(filters.spread(2, 5).argmax(1).tolist(), [0, 0, 1, 1, 1])

    def test_resampling_keeps_what_is_flat_and_averages_when_it_shrinks(self) -> None:
        np.testing.assert_allclose(filters.antialiased(400, 256) @ np.ones(400), 1)
        np.testing.assert_allclose(filters.antialiased(4, 2) @ [0, 0, 1, 1], [1 / 7, 6 / 7])

    def test_the_luma_of_magma_rises(self) -> None:
        luma = filters.magma_luma()
        self.assertEqual((luma.size, luma[0]), (256, 0))
        self.assertGreater(luma[255], 0.95)
        self.assertTrue((np.diff(luma) >= 0).all())


class Wavelets(unittest.TestCase):
    def test_morlets_see_no_brightness(self) -> None:
        for theta in (0.0, 0.7):
            self.assertLess(abs(filters.morlet(32, 1.6, theta, 1.2, 0.5).sum()), 1e-9)

    def test_smoothing_keeps_brightness_at_every_grid(self) -> None:
        for factor in (1, 2, 4):
            with self.subTest(factor=factor):
                matrix = filters.low_pass(64, factor, 1.6, 16)
                flat = np.ones((64 // factor, 64 // factor))
                np.testing.assert_allclose((matrix @ flat @ matrix.T).real, np.ones((16, 16)), atol=2e-3)

    def test_smoothing_is_that_of_an_fft(self) -> None:
        picture = np.random.default_rng(1).random((32, 32))
        bell = filters.gabor(32, 1.6, 0, 0, 1)
        wanted = np.fft.ifft2(np.fft.fft2(picture) * np.fft.fft2(bell)).real[::4, ::4]
        matrix = filters.low_pass(32, 1, 1.6, 8)
        np.testing.assert_allclose((matrix @ picture @ matrix.T).real, wanted, atol=1e-9)
