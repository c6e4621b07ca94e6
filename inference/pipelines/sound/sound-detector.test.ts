import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { analysed } from '../../testing/detectors.ts';
import { tone, wavOf } from '../../testing/media.ts';
import { recording } from '../../testing/recordings.ts';
import { joined, noise, sine } from '../../testing/signals.ts';
import { writeWaveformPackage } from '../../testing/sound-packages.ts';
import type { Analysis } from '../analysis.ts';

const rate = 16_000;
const voice = await recording('voice-real.flac');
const silence = (seconds: number) => new Float32Array(seconds * rate);
const square = (amplitude: number, seconds: number) =>
  sine(200, seconds, rate).map((x) => amplitude * Math.sign(x));

async function judged(
  media: Uint8Array,
  pipeline: Readonly<Record<string, unknown>> = {},
): Promise<Analysis> {
  const { analysis } = await analysed((folder) => writeWaveformPackage(folder, { pipeline }), media);
  return analysis;
}
const logitOf = (score: number | null) => Math.log((score ?? NaN) / (1 - (score ?? NaN)));

describe('a window of samples', () => {
  const short = tone({ seconds: 0.25, shape: 'square' });
  const long = tone({ seconds: 1, shape: 'square' });
  const steps = wavOf(joined(square(0.25, 0.5), square(0.5, 0.5)), rate);
  const rows = [
    { name: 'is as decoded', media: long, pipeline: {}, logit: 4 },
    {
      name: 'has a channel where the graph wants one',
      media: long,
      pipeline: { layout: 'channel-samples' },
      logit: 4,
    },
    { name: 'repeats short sound', media: short, pipeline: {}, logit: 4 },
    { name: 'ends in zeros', media: short, pipeline: { shortSound: 'zero-pad' }, logit: 2 },
    {
      name: 'has the peak of the package',
      media: long,
      pipeline: { level: { type: 'peak', amplitude: 0.25 } },
      logit: 2,
    },
    {
      name: 'has the loudness of the package',
      media: long,
      pipeline: { level: { type: 'rms', dbfs: -12.0412 } },
      logit: 2,
    },
    // The wave of 200 Hz jumps by 1 every 40 samples.
    { name: 'is emphasised', media: long, pipeline: { preEmphasis: 1 }, logit: 8 / 40 },
    // Windows of 0.5 s every 0.25 s: 2, 3 and 4.
    { name: 'counts as much as others', media: steps, pipeline: { hopSeconds: 0.25 }, logit: 3 },
    { name: 'decides alone', media: steps, pipeline: { hopSeconds: 0.25, aggregation: 'max' }, logit: 4 },
    {
      name: 'decides half',
      media: steps,
      pipeline: { hopSeconds: 0.25, aggregation: 'mean-and-max' },
      logit: 3.5,
    },
    {
      name: 'is not of the silence around where that is trimmed',
      media: wavOf(joined(silence(1), square(0.5, 0.5), silence(1)), rate),
      pipeline: { trimSilence: true },
      logit: 4,
    },
  ];
  for (const { name, media, pipeline, logit } of rows) {
    test(name, async () => {
      const found = logitOf((await judged(media, pipeline)).score);
      assert.ok(Math.abs(found - logit) < 0.05, `${found}`);
    });
  }

  test('is one of many, which come back in the order of the file', async () => {
    const parts = Array.from({ length: 40 }, (_, index) => square(0.01 * (index + 1), 0.5));
    const { segments = [], signals } = await judged(wavOf(joined(...parts), rate));
    assert.equal(signals['windows_analysed'], 40);
    for (const [index, { start_s, end_s, score }] of segments.entries()) {
      assert.deepEqual([start_s, end_s], [index / 2, index / 2 + 0.5]);
      assert.ok(Math.abs(logitOf(score) - 0.08 * (index + 1)) < 0.01);
    }
  });
});

describe('a package that wants speech', () => {
  const voiceActivity = { minSpeechSeconds: 1 };

  const refused = [
    { name: 'noise', samples: noise(4, rate) },
    { name: 'a tone', samples: joined(silence(1), sine(440, 3, rate), silence(1)) },
    { name: 'a word', samples: joined(silence(1), voice.subarray(0, 0.5 * rate), silence(1)) },
  ];
  for (const { name, samples } of refused) {
    test(`does not judge ${name}, and says why`, async () => {
      const found = await judged(wavOf(samples, rate), { voiceActivity });
      assert.deepEqual([found.verdict, found.score], ['INCONCLUSIVE', null]);
      assert.deepEqual(found.inconclusiveReasons, ['no_speech']);
      assert.match(found.explanations[0]?.text ?? '', /too little speech/);
      assert.ok(Number(found.signals['speech_seconds']) < 1);
    });
  }

  test('says of digital silence that it is silence', async () => {
    const found = await judged(wavOf(silence(3), rate), { voiceActivity });
    assert.deepEqual(found.inconclusiveReasons, ['silence']);
  });

  test('hears speech alone, at the times of the file', async () => {
    const media = wavOf(joined(silence(3), voice, silence(3), noise(2, rate), voice), rate);
    const { segments = [], signals } = await judged(media, { voiceActivity });
    const seconds = Number(signals['speech_seconds']);
    assert.ok(Math.abs(seconds - 10) < 0.5, `${seconds} s`);
    assert.equal(signals['analysed_seconds'], seconds);
    const [first, last] = [segments[0], segments.at(-1)];
    assert.ok(Math.abs((first?.start_s ?? NaN) - 3) < 0.25, `${first?.start_s}`);
    assert.ok(Math.abs((last?.end_s ?? NaN) - 18) < 0.25, `${last?.end_s}`);
    // The window in which both meet reaches over what is between them.
    const inPause = segments.filter(({ start_s, end_s }) => start_s > 8.2 && end_s < 12.8);
    assert.deepEqual(inPause, []);
  });

  test('scores speech without silence around as another package does', async () => {
    const [all, speech] = await Promise.all(
      [{}, { voiceActivity }].map((pipeline) => judged(wavOf(voice, rate), pipeline)),
    );
    assert.ok(Math.abs((all?.score ?? NaN) - (speech?.score ?? NaN)) < 0.02);
  });
});

describe('every sound is measured', () => {
  test('also where it is not judged', async () => {
    const { signals, verdict } = await judged(tone({ seconds: 0.5 }), { minSeconds: 1 });
    assert.equal(verdict, 'INCONCLUSIVE');
    const { pitch, energy } = signals;
    assert.ok(pitch !== undefined && typeof pitch === 'object' && 'mean_pitch_hz' in pitch);
    assert.ok(Math.abs((pitch.mean_pitch_hz ?? NaN) - 200) < 1);
    assert.ok(energy !== undefined && typeof energy === 'object' && 'rms_energy' in energy);
  });
});
