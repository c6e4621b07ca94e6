"""How sound is cut for the families of samples and of features."""

import unittest

import numpy as np

from detectors import sound_reading

PIPELINE = {
    "type": "audio-waveform", "sampleRate": 16_000, "windowSamples": 16_000, "layout": "samples", "trimSilence": True, "level": {"type": "none"},
    "preEmphasis": 0, "hopSeconds": 0.5, "shortSound": "repeat", "minSeconds": 0.5, "maxSeconds": 3, "aggregation": "mean-logit",
}
FEATURES = {
    "stft": {"fftSize": 512, "windowLength": 400, "hop": 160, "window": "hann", "padding": "none"}, "spectrum": "power",
    "kind": {"type": "log-spectrogram", "bins": 20}, "scale": {"type": "logarithm", "base": "e", "epsilon": 1e-7}, "normalisation": {"type": "none"},
}


def tone(seconds: float) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 250 * np.arange(round(seconds * 16_000)) / 16_000 + 0.5)).astype(np.float32)


class Items(unittest.TestCase):
    def test_windows_by_length(self) -> None:
        for seconds, expected in [(0.6, 1), (1.0, 1), (1.2, 2), (2.0, 3), (5.0, 5)]:
            with self.subTest(seconds=seconds):
                self.assertEqual(sound_reading.items(tone(seconds), PIPELINE).shape, (expected, 16_000))

    def test_silence_at_the_ends_is_left_out_where_the_package_says_so(self) -> None:
        sound = np.concatenate([np.zeros(16_000), tone(1.0), np.zeros(16_000)]).astype(np.float32)
        self.assertEqual(len(sound_reading.items(sound, PIPELINE)), 1)
        self.assertEqual(len(sound_reading.items(sound, {**PIPELINE, "trimSilence": False})), 5)

    def test_levels(self) -> None:
        for level, expected in [({"type": "none"}, 0.5), ({"type": "peak", "amplitude": 0.95}, 0.95), ({"type": "rms", "dbfs": -20}, 0.1 * 2**0.5), ({"type": "rms", "dbfs": 0}, 1.0)]:
            with self.subTest(level=level):
                self.assertAlmostEqual(float(np.abs(sound_reading.items(tone(1.0), {**PIPELINE, "level": level})).max()), expected, places=3)

    def test_pre_emphasis_takes_the_sample_before_and_leaves_the_first(self) -> None:
        self.assertEqual(sound_reading.emphasised(np.float32([1, 2, 4]), 0.5).tolist(), [1.0, 1.5, 3.0])

    def test_layouts(self) -> None:
        features = {**PIPELINE, "type": "audio-features", "windowSeconds": 1.0, "features": FEATURES}
        rows = [
            ({**PIPELINE, "layout": "channel-samples"}, (1, 1, 16_000)), ({**features, "layout": "bins-frames"}, (1, 20, 97)),
            ({**features, "layout": "channel-bins-frames"}, (1, 1, 20, 97)), ({**features, "layout": "frames-bins"}, (1, 97, 20)),
        ]
        for pipeline, shape in rows:
            with self.subTest(layout=pipeline["layout"]):
                self.assertEqual(sound_reading.items(tone(1.0), pipeline).shape, shape)

    def test_too_little_is_not_judged(self) -> None:
        for sound, message in [(tone(0.4), "0.40 s of sound, at least 0.5 s"), (np.zeros(32_000, np.float32), "no sound"), (np.zeros(0, np.float32), "no sound")]:
            with self.subTest(message=message), self.assertRaisesRegex(ValueError, message):
                sound_reading.items(sound, PIPELINE)

    def test_what_only_the_pod_can_read(self) -> None:
        self.assertEqual(sound_reading.unknown_here(PIPELINE), "")
        mel = {"type": "audio-features", "features": {**FEATURES, "kind": {"type": "log-mel"}}}
        for change, message in [({"sampleRate": 8000}, "8000 Hz"), ({"voiceActivity": {"minSpeechSeconds": 1}}, "speech"), ({"aggregation": "max"}, "max"), (mel, "log-mel")]:
            with self.subTest(message=message):
                self.assertIn(message, sound_reading.unknown_here({**PIPELINE, **change}))


if __name__ == "__main__":
    unittest.main()
