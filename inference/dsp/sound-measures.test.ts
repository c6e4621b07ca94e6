import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { recording } from '../testing/recordings.ts';
import { harmonics, joined, noise, sine } from '../testing/signals.ts';
import { soundMeasures } from './sound-measures.ts';

const rate = 16_000;

/** Made by test/golden/sound/make.py. */
const golden: Readonly<Record<string, Record<'mean_pitch_hz' | string, number>>> = JSON.parse(
  await readFile(new URL('../../test/golden/sound/measures.json', import.meta.url), 'utf8'),
);

/** How far from librosa's value: of the pitch, whose method is another one, 2 % and 0.05; of everything else, its rounding. */
const tolerances: Readonly<Record<string, (wanted: number) => number>> = {
  mean_pitch_hz: (wanted) => 0.02 * wanted,
  pitch_stability_score: () => 0.05,
  rms_energy: () => 1e-5,
  silence_ratio: () => 1e-5,
  spectral_centroid: () => 0.1,
  spectral_contrast: () => 0.01,
};

describe('recordings measure as librosa measures them', () => {
  for (const [file, expected] of Object.entries(golden)) {
    test(file, async () => {
      const { pitch, energy, spectral } = soundMeasures(await recording(file), rate);
      const found: Record<string, number | null> = { ...pitch, ...energy, ...spectral };
      assert.deepEqual(Object.keys(found), Object.keys(expected));
      for (const [name, wanted] of Object.entries(expected)) {
        const distance = Math.abs((found[name] ?? NaN) - wanted);
        assert.ok(
          distance <= (tolerances[name]?.(wanted) ?? 0),
          `${name}: ${found[name]} is not librosa's ${wanted}`,
        );
      }
    });
  }
});

describe('a steady tone has its pitch, and a stability close to 1', () => {
  const rows = [
    { name: 'a low voice', samples: harmonics(82.4, 2, rate), hz: 82.4, at: rate },
    { name: 'a high voice', samples: harmonics(311.1, 2, rate), hz: 311.1, at: rate },
    { name: 'a sine at the upper end', samples: sine(1975.5, 2, rate), hz: 1975.5, at: rate },
    { name: 'at 8 kHz', samples: harmonics(220, 2, 8000), hz: 220, at: 8000 },
    { name: 'at 44.1 kHz', samples: harmonics(220, 2, 44_100), hz: 220, at: 44_100 },
  ];
  for (const { name, samples, hz, at } of rows) {
    test(name, () => {
      const { mean_pitch_hz, pitch_stability_score } = soundMeasures(samples, at).pitch;
      assert.ok(Math.abs((mean_pitch_hz ?? NaN) - hz) < 0.01 * hz, `${mean_pitch_hz} Hz`);
      assert.ok((pitch_stability_score ?? NaN) > 0.95, `${pitch_stability_score}`);
    });
  }
});

describe('what a sound does not define is null', () => {
  const nothing = { mean_pitch_hz: null, pitch_stability_score: null };
  const unknown = { spectral_centroid: null, spectral_contrast: null };

  test('the pitch of noise', () => {
    const { pitch, energy, spectral } = soundMeasures(noise(2, rate), rate);
    assert.deepEqual(pitch, nothing);
    assert.equal(energy.silence_ratio, 0);
    // White: the middle is that of the band.
    assert.ok(Math.abs((spectral.spectral_centroid ?? NaN) - 4000) < 100);
  });

  test('everything but the energy of digital silence, which is 0', () => {
    assert.deepEqual(soundMeasures(new Float32Array(rate), rate), {
      pitch: nothing,
      energy: { rms_energy: 0, silence_ratio: null },
      spectral: unknown,
    });
  });

  test('everything of no sound at all', () => {
    assert.deepEqual(soundMeasures(new Float32Array(0), rate), {
      pitch: nothing,
      energy: { rms_energy: null, silence_ratio: null },
      spectral: unknown,
    });
  });

  test('the pitch of a click', () => {
    const click = new Float32Array(rate);
    click[8000] = 1;
    assert.deepEqual(soundMeasures(click, rate).pitch, nothing);
  });
});

test('silence around a sound is no part of its pitch and spectrum', () => {
  const voice = harmonics(150, 1, rate);
  const silence = new Float32Array(1.5 * rate);
  const [bare, padded] = [voice, joined(silence, voice, silence)].map((sound) => soundMeasures(sound, rate));
  assert.equal(bare?.energy.silence_ratio, 0);
  assert.ok(Math.abs((padded?.energy.silence_ratio ?? NaN) - 0.75) < 0.05);
  assert.ok(Math.abs((padded?.pitch.mean_pitch_hz ?? NaN) - 150) < 1);
  // The abrupt ends of the tone lift it a little; three seconds of nothing would bring it down to a quarter.
  const [before = NaN, after = NaN] = [bare, padded].map((found) => found?.spectral.spectral_centroid ?? NaN);
  assert.ok(after >= before && after < 1.25 * before, `${before} Hz, ${after} Hz`);
});
