import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recording } from '../testing/recordings.ts';
import { harmonics, joined, noise, sine } from '../testing/signals.ts';
import { lengthOf, speechRanges } from './voice-activity.ts';

const rate = 16_000;
const voice = await recording('voice-real.flac');
const fake = await recording('voice-fake.flac');
const silence = (seconds: number) => new Float32Array(seconds * rate);
const mixed = (a: Float32Array, b: Float32Array, gain: number) =>
  a.map((sample, index) => sample + gain * (b[index] ?? 0));
const secondsOf = (samples: Float32Array) => lengthOf(speechRanges(samples, rate)) / rate;

describe('nobody speaks in', () => {
  const chord = [277.2, 329.6].reduce(
    (sum, hz) => mixed(sum, harmonics(hz, 3, rate), 1),
    harmonics(220, 3, rate),
  );
  const clicks = silence(3).map((_, index) => Number(index % 8000 === 0));
  const rows = [
    { name: 'no sound at all', samples: silence(0) },
    { name: 'digital silence', samples: silence(3) },
    { name: 'white noise', samples: noise(4, rate) },
    { name: 'a burst of noise in silence', samples: joined(silence(2), noise(2, rate), silence(2)) },
    { name: 'a sine in silence', samples: joined(silence(1), sine(440, 3, rate), silence(1)) },
    {
      name: 'a sine over faint noise',
      samples: mixed(joined(silence(2), sine(440, 3, rate), silence(2)), noise(7, rate), 0.01),
    },
    { name: 'a held note with harmonics', samples: joined(silence(1), harmonics(220, 3, rate), silence(1)) },
    { name: 'a held chord', samples: joined(silence(1), chord, silence(1)) },
    {
      name: 'a tone that comes and goes',
      samples: joined(...Array.from({ length: 6 }, () => joined(sine(425, 0.5, rate), silence(0.5)))),
    },
    { name: 'hum', samples: mixed(harmonics(50, 4, rate), noise(4, rate), 0.02) },
    { name: 'clicks', samples: clicks },
  ];
  for (const { name, samples } of rows) test(name, () => assert.deepEqual(speechRanges(samples, rate), []));
});

describe('a voice is found', () => {
  const around = joined(silence(3), voice, silence(3));
  const level = 0.136 / 0.289;
  const rows = [
    { name: 'alone', samples: voice, least: 4.9, most: 5 },
    { name: 'of a speech engine, without its pauses', samples: fake, least: 5, most: 5.9 },
    { name: 'between digital silence', samples: around, least: 4.9, most: 5.25 },
    {
      name: 'in white noise 10 dB below it',
      samples: mixed(around, noise(11, rate), level * 10 ** (-10 / 20)),
      least: 4.5,
      most: 5.3,
    },
    {
      name: 'in white noise as loud as it',
      samples: mixed(around, noise(11, rate), level),
      least: 3,
      most: 5.3,
    },
    { name: 'at a tenth of its level', samples: voice.map((sample) => sample / 10), least: 4.5, most: 5 },
  ];
  for (const { name, samples, least, most } of rows) {
    test(name, () => {
      const seconds = secondsOf(samples);
      assert.ok(seconds >= least && seconds <= most, `${seconds} s`);
    });
  }

  test('where it is, and in order', () => {
    const [first, second, ...others] = speechRanges(joined(around, around), rate);
    assert.deepEqual(others, []);
    for (const [range, start] of [
      [first, 3],
      [second, 14],
    ] as const) {
      assert.ok(Math.abs((range?.start ?? NaN) / rate - start) < 0.25, `${range?.start}`);
      assert.ok(Math.abs((range?.end ?? NaN) / rate - start - 5) < 0.25, `${range?.end}`);
    }
  });
});
