import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { analysed } from '../../testing/detectors.ts';
import { clip } from '../../testing/media.ts';
import { writeVideoAudioPackage } from '../../testing/sequence-packages.ts';

const options = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'pcm_s16le'];
const white = 'color=white:size=64x48:rate=10:duration=2';
const loud = ['-af', 'volume=30dB'];
const withSound = await clip({
  source: white,
  extension: 'mkv',
  options: [...options, ...loud],
  soundSeconds: 2,
});
const silent = await clip({ source: white, extension: 'mkv', options });
const soundAlone = await clip({
  source: 'sine=300:duration=2',
  extension: 'mkv',
  options: ['-c:a', 'pcm_s16le', ...loud],
});

const judged = (media: Uint8Array, pipeline: Readonly<Record<string, unknown>> = {}) =>
  analysed((folder) => writeVideoAudioPackage(folder, { pipeline }), media);
const logitOf = (score: number | null) => Math.log((score ?? NaN) / (1 - (score ?? NaN)));

describe('pictures and sound of one file', () => {
  const rows = [
    {
      // 4 * 1 + 4 * 0.99 - 0.5 - 0.5: the tone is clipped to nearly a square wave.
      name: 'are judged together',
      media: withSound,
      logit: [6.5, 7],
      missing: [],
      notes: [],
      codes: ['score_at_or_above_high'],
      // ffprobe and one ffmpeg for both.
      programs: 2,
      runs: 4 + 2 + 1,
    },
    {
      name: 'are judged without the sound that is not there',
      media: silent,
      logit: [3.4, 3.6],
      missing: ['audio'],
      notes: ['The video has no sound track: only its pictures were analysed.'],
      codes: ['score_at_or_above_high', 'judged_without_audio'],
      programs: 2,
      runs: 4 + 1,
    },
    {
      name: 'are judged without the pictures that are not there',
      media: soundAlone,
      logit: [2.9, 3.5],
      missing: ['video'],
      notes: ['The file holds no pictures: only its sound was analysed.'],
      codes: ['score_at_or_above_high', 'judged_without_video'],
      // ffprobe twice.
      programs: 3,
      runs: 2 + 1,
    },
  ] as const;
  for (const { name, media, logit, missing, notes, codes, programs, runs } of rows) {
    test(name, async () => {
      const found = await judged(media);
      const { analysis } = found;
      const [least, most] = logit;
      const reached = logitOf(analysis.score);
      assert.ok(reached > least && reached < most, `${reached}`);
      assert.deepEqual(analysis.missingModalities, missing);
      assert.deepEqual(analysis.notes, notes);
      assert.deepEqual(
        analysis.explanations.map(({ code }) => code),
        codes,
      );
      assert.equal(found.events.length, programs);
      assert.equal(found.runs.length, runs);
    });
  }

  const refused = [
    { name: 'sound', media: silent, requires: ['video', 'audio'], reason: 'no_audio_track', part: 'audio' },
    { name: 'pictures', media: soundAlone, requires: ['video'], reason: 'no_frames', part: 'video' },
  ];
  for (const { name, media, requires, reason, part } of refused) {
    test(`get no verdict where the package requires the ${name} that is not there`, async () => {
      const { analysis, runs } = await judged(media, { requires });
      assert.deepEqual([analysis.verdict, analysis.inconclusiveReasons], ['INCONCLUSIVE', [reason]]);
      assert.deepEqual(
        analysis.explanations.map(({ code }) => code),
        [reason],
      );
      assert.deepEqual(analysis.missingModalities, [part]);
      assert.deepEqual(runs, []);
    });
  }

  test('are filled up where there are fewer frames than the head takes, and the answer says so', async () => {
    const short = await clip({
      source: white.replace('=2', '=0.2'),
      extension: 'mkv',
      options,
      soundSeconds: 0.2,
    });
    const { analysis } = await judged(short);
    assert.deepEqual(analysis.notes, [
      'The model takes 4 frames and the video gave 2: the first one was repeated to fill the rest.',
    ]);
  });

  test('are only a part of the sound where the package says so, and the answer says so', async () => {
    const sound = { sampleRate: 8000, windowSeconds: 0.5, windows: 2, maxSeconds: 1 };
    const { analysis } = await judged(withSound, { sound });
    assert.deepEqual(analysis.notes, ['Only the first 1 s of the sound were analysed.']);
    assert.equal(analysis.signals['sound_seconds'], 1);
  });
});

test('a package whose head takes another number of frames is refused when it is opened', async () => {
  await assert.rejects(judged(silent, { frames: 5 }), /^Error: the head's input "frames" is \[n, 4, 3\]/);
});
