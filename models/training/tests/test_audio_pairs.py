"""Pairs of natural utterances and their fakes: who speaks, what is held back, and that both sides of a pair go the same way."""

import unittest
from pathlib import Path

import numpy as np

try:
    from detectors import audio_families, audio_nets, audio_pairs, audio_pool, audio_vocoders
    from detectors.audio_pairs import Groups, Pairs
except ImportError:
    audio_pairs = None

needs_all = unittest.skipUnless(audio_pairs, "torch or scipy is not installed: models/training/run sets them up")


def speech(seconds: float = 1.0) -> np.ndarray:
    """A pitch of 120 Hz with its harmonics and a little noise."""
    time = np.arange(round(16_000 * seconds)) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * time + k) / k for k in range(1, 20))
    return (0.1 * voice + 0.003 * np.random.default_rng(0).standard_normal(time.size)).astype(np.float32)


def pool() -> "Pairs":
    """Two voices with two utterances each; every utterance has a fake that is the natural one plus 1, and an engine speaks twice."""
    rng = np.random.default_rng(0)
    natural = rng.integers(-9_000, 9_000, (4, 40_000)).astype(np.int16)
    sound = np.concatenate([np.stack([natural, natural + 1], 1).reshape(8, -1), natural[:2] // 2])
    return Pairs(
        np.stack([sound, sound + 100]), np.array(["a"] * 4 + ["b"] * 4 + ["engine-0", "engine-1"]),
        np.array(["real", "vocoder"] * 4 + ["engine"] * 2), np.array([0, 0, 1, 1, 2, 2, 3, 3, -1, -1]),
    )


@needs_all
class Speakers(unittest.TestCase):
    def test_speakers_by_file(self) -> None:
        rows = [
            ("x/librispeech_test-other_1688_1688-142285-0008.flac", "reader-1688"), ("x/audio_train-clean-100_1183-124566-0000.flac", "reader-1183"),
            ("x/84-121123-0001.flac", "reader-84"), ("x/unseen_ground_truth_1089_134686_000007_000005.wav", "reader-1089"), ("x/3_jackson_12.wav", "digits-jackson"),
            ("someone/recording.wav", "someone"), ("LJ/LJ001-0003_gen.wav", "LJ"), ("x/2024-01-0001-note.wav", "x"),
        ]
        for path, expected in rows:
            with self.subTest(path=path):
                self.assertEqual(audio_pairs.speaker_of(Path(path)), expected)

    def test_about_half_of_the_speakers_are_learnt_from_and_always_the_same(self) -> None:
        names = [f"reader-{i}" for i in range(400)]
        chosen = [name for name in names if audio_pairs.is_for_training(name)]
        self.assertAlmostEqual(len(chosen) / len(names), 0.5, delta=0.1)
        self.assertEqual(chosen, [name for name in names if audio_pairs.is_for_training(name)])

    def test_a_folder_without_recordings_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "holds no recordings"):
            audio_pairs.extra_speakers([Path(__file__).parent])


@needs_all
class Batches(unittest.TestCase):
    def test_no_voice_is_learnt_from_and_stopped_by(self) -> None:
        everything = pool()
        many = Pairs(everything.sound, np.array([f"voice-{i}" for i in range(10)]), everything.makers, everything.pairs)
        learning, stopping = audio_pairs.split_for_stopping(many)
        self.assertFalse(set(learning.sources) & set(stopping.sources))
        self.assertEqual(len(learning.sources) + len(stopping.sources), 10)

    def test_halves_are_real_and_fake_and_those_of_a_pair_are_cut_and_worn_alike(self) -> None:
        made = pool()
        groups = Groups(made)
        groups.kinds = [None]
        clips, labels = audio_pairs.batch_of_pairs(made, groups, 8, 8_000, np.random.default_rng(3))
        self.assertEqual((clips.shape, clips.dtype, labels.tolist()), ((8, 8_000), np.float32, [0.0] * 4 + [1.0] * 4))
        # The fakes differ from nature by one step of 16 bits, so what remains apart is the wear: a step of the companding at most.
        self.assertLess(float(np.abs(clips[:4] - clips[4:]).max()), 0.06)
        self.assertAlmostEqual(float(np.abs(clips).max(1).min()), 0.95, delta=0.1)

    def test_engines_are_drawn_as_often_as_kinds_of_fakes(self) -> None:
        groups, rng = Groups(pool()), np.random.default_rng(0)
        self.assertEqual(groups.kinds, [None, "engine"])
        self.assertEqual({groups.fake(2, None, rng) for _ in range(5)}, {5})
        self.assertEqual({groups.fake(2, "engine", rng) for _ in range(20)}, {8, 9})

    def test_the_utterances_of_a_pair_go_through_the_same_codec(self) -> None:
        clean = np.repeat((speech(3) * 30_000).astype(np.int16)[None], 12, 0)
        out = audio_pairs.coded(clean, np.repeat(np.arange(4), 3), 1, 0)
        for pair in range(4):
            with self.subTest(pair=pair):
                mine = out[3 * pair : 3 * pair + 3].astype(int)
                self.assertLess(np.abs(mine - mine[0]).mean(), 0.2 * np.abs(clean[0].astype(int)).mean())


@needs_all
class Vocoders(unittest.TestCase):
    def test_rules_give_finite_sound_of_the_same_length_that_is_not_the_original(self) -> None:
        natural = speech()
        for kind, rule in audio_vocoders.BY_RULE.items():
            if kind == "world":
                continue
            with self.subTest(kind=kind):
                made = rule(natural, np.random.default_rng(0))
                self.assertEqual((made.shape, made.dtype), (natural.shape, np.float32))
                self.assertTrue(np.isfinite(made).all())
                self.assertGreater(float(np.abs(made - natural).max()), 0.01)

    def test_phase_alone_keeps_the_levels(self) -> None:
        import torch

        natural = torch.from_numpy(speech())[None]
        for kind in ("full-griffin-lim", "phase-drift"):
            with self.subTest(kind=kind):
                kept = torch.from_numpy(audio_vocoders.BY_RULE[kind](natural[0].numpy(), np.random.default_rng(0)))[None]
                lost = torch.from_numpy(audio_vocoders.BY_RULE["lpc-vocoder"](natural[0].numpy(), np.random.default_rng(0)))[None]
                self.assertLess(float(audio_vocoders.apart(kept, natural)), float(audio_vocoders.apart(lost, natural)))

    def test_a_high_band_fake_is_natural_below(self) -> None:
        from scipy import signal

        natural = speech()
        mixed = audio_vocoders.high_band(np.roll(natural, 37), natural, np.random.default_rng(0))
        low = signal.butter(6, 500, fs=16_000, output="sos")
        self.assertLess(float(np.abs(signal.sosfiltfilt(low, mixed - natural))[800:-800].max()), 0.02)


@needs_all
class Nets(unittest.TestCase):
    def test_each_net_takes_any_length_and_gives_a_logit_and_few_features(self) -> None:
        import torch

        for name, family in audio_families.FAMILIES.items():
            net = family.net().eval()
            for seconds in (1, 2):
                with self.subTest(family=name, seconds=seconds):
                    parts = audio_families.parts_of(np.stack([speech(seconds), speech(seconds)[::-1]]), family.pipeline)
                    with torch.no_grad():
                        logit, features = net(torch.from_numpy(parts))
                    self.assertEqual((tuple(logit.shape), tuple(features.shape)), ((2, 1), (2, audio_nets.FEATURES)))

    def test_the_frozen_front_end_is_the_learnt_one(self) -> None:
        import torch

        net = audio_nets.WaveformNet().eval()
        samples = torch.from_numpy(speech()[None])
        with torch.no_grad():
            before = net(samples)[0]
            net.freeze()
            self.assertEqual(float(before), float(net(samples)[0]))

    def test_wavelets_let_their_centre_through_and_no_mean(self) -> None:
        import torch

        kernels = audio_nets.wavelets([0.1, 0.25], [0.02, 0.05], 129)
        time = torch.arange(129)
        for i, centre in enumerate((0.1, 0.25)):
            wave = torch.cos(2 * torch.pi * centre * time)
            gain = torch.hypot((kernels[i, 0] * wave).sum(), (kernels[i + 2, 0] * wave).sum())
            with self.subTest(centre=centre):
                self.assertAlmostEqual(float(gain), 0.5, places=2)
                self.assertAlmostEqual(float(kernels[i, 0].sum()), 0, places=5)

    def test_every_family_is_smaller_than_its_full_size(self) -> None:
        for name, family in audio_families.FAMILIES.items():
            if name == "audio-scattering":
                continue
            with self.subTest(family=name):
                self.assertLess(audio_families.parameters(family.net()), family.full_parameters())


@needs_all
class Foreign(unittest.TestCase):
    def test_readers_that_were_learnt_from_are_not_evaluated_on(self) -> None:
        import tempfile

        from detectors import sources

        with tempfile.TemporaryDirectory() as scratch:
            folder, lines = Path(scratch), ["path\tlabel\tmodality\tgenerator\tpair"]
            for name, label, generator in (("84-1-0001", "real", "natural"), ("85-1-0001", "real", "natural"), ("fake", "fake", "vocoder:X"), ("short", "fake", "vocoder:X")):
                sources.save_flac(speech(0.5 if name == "short" else 1.5), folder / f"{name}.flac")
                lines.append(f"{name}.flac\t{label}\taudio\t{generator}\t")
            lines.append("a.png\treal\timage\tcamera\t")
            (folder / "MANIFEST.tsv").write_text("\n".join(lines) + "\n")
            found = audio_pool.foreign(lambda clip: [1.0, 2.0, 3.0], folder, {"84"})
        self.assertEqual((found.sources.tolist(), found.labels.tolist(), found.features.shape), (["85-1-0001", "fake"], [0, 1], (2, 2)))


if __name__ == "__main__":
    unittest.main()
