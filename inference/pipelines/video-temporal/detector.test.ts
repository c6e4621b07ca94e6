import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { analysed } from '../../testing/detectors.ts';
import { clip } from '../../testing/media.ts';
import { writeTemporalPackage } from '../../testing/sequence-packages.ts';

const options = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
const colour = (name: string, seconds: number, more = '') =>
  clip({ source: `color=${name}:size=64x48:rate=10:duration=${seconds}${more}`, extension: 'mp4', options });
const white = await colour('white', 2);
const whiteAtTheEnd = await colour('black', 2, ",drawbox=color=white:t=fill:enable='gte(t,1.2)'");

const twoFrames = await colour('white', 0.2);
const withoutPictures = await clip({ source: 'anullsrc=duration=1', extension: 'mkv' });

const judged = (media: Uint8Array, pipeline: Readonly<Record<string, unknown>> = {}) =>
  analysed((folder) => writeTemporalPackage(folder, { pipeline }), media);

describe('a clip whose features are judged in sequence', () => {
  test('has the verdict of the whole and a timeline of windows, and encodes every frame once', async () => {
    const { analysis, runs, steps, events } = await judged(white);
    assert.equal(analysis.verdict, 'DEEPFAKE');
    assert.ok(Math.abs((analysis.score ?? 0) - 0.98) < 0.01, `${analysis.score}`);
    assert.deepEqual(
      analysis.frames?.map(({ index }) => index),
      [3, 7, 11, 15, 19],
    );
    assert.deepEqual(
      analysis.segments?.map(({ start_s, end_s }) => [start_s.toFixed(2), end_s.toFixed(2)]),
      [
        ['0.05', '0.35'],
        ['0.45', '0.75'],
        ['0.85', '1.15'],
        ['1.25', '1.55'],
        ['1.65', '1.95'],
      ],
    );
    const { frames_analysed, windows_analysed, suspicious_frames_count } = analysis.signals;
    assert.deepEqual([frames_analysed, windows_analysed, suspicious_frames_count], [20, 5, 5]);
    // 20 frames and 6 sequences, one a run.
    assert.deepEqual(runs, Array(26).fill(1));
    assert.deepEqual(
      steps.map(({ progress, total }) => [progress, total]),
      [
        [8, 20],
        [16, 20],
        [20, 20],
      ],
    );
    const programs = events.map((event) => event.type === 'ffmpeg_exit' && event.exit);
    assert.ok(programs.length <= 2, 'no more than ffprobe and one ffmpeg');
    assert.deepEqual(new Set(programs), new Set(['ok']));
    assert.deepEqual(analysis.notes, []);
    assert.deepEqual(
      analysis.explanations.map(({ code }) => code),
      ['score_at_or_above_high', 'parts_at_or_above_high'],
    );
    assert.match(analysis.explanations[1]?.text ?? '', /^5 of 5 windows /);
  });

  test('says where its timeline disagrees, and keeps the verdict of the whole', async () => {
    // One of the four frames of the whole is white, and the last window is.
    const { analysis } = await judged(whiteAtTheEnd, {
      sampling: { mode: 'uniform', frames: 8 },
      windows: 2,
    });
    const [first, last] = analysis.segments ?? [];
    assert.ok((first?.score ?? 1) < 0.1 && (last?.score ?? 0) > 0.5, JSON.stringify(analysis.segments));
    const codes = analysis.explanations.map(({ code }) => code);
    assert.equal(analysis.verdict, 'AUTHENTIC', JSON.stringify(analysis.score));
    assert.deepEqual(codes, ['score_at_or_below_low', 'parts_at_or_below_low', 'timeline_disagrees']);
  });

  test('that is shorter than the sequence repeats its first frame, and says so', async () => {
    const { analysis, runs } = await judged(await colour('white', 0.3));
    assert.equal(analysis.verdict, 'DEEPFAKE');
    assert.deepEqual(analysis.notes, [
      'The model takes 4 frames and the video gave 3: the first one was repeated to fill the rest.',
    ]);
    assert.deepEqual(
      analysis.segments?.map(({ score }) => score),
      [analysis.score],
    );
    assert.equal(runs.length, 4);
  });

  test('at a rate with a largest number is a part of the video, and the answer says so', async () => {
    const { analysis, runs } = await judged(white, { sampling: { mode: 'fps', rate: 5, maxFrames: 5 } });
    assert.deepEqual(analysis.notes, ['Only the first 1.0 s were analysed.']);
    // 5 frames, the clip and two windows.
    assert.equal(runs.length, 8);
  });

  const notJudged = [
    { name: 'with too few frames', media: twoFrames, reason: 'too_short' },
    { name: 'without pictures', media: withoutPictures, reason: 'no_frames' },
  ];
  for (const { name, media, reason } of notJudged) {
    test(`${name} gets no verdict, with the reason, and no graph is run`, async () => {
      const { analysis, runs } = await judged(media);
      assert.deepEqual([analysis.verdict, analysis.inconclusiveReasons], ['INCONCLUSIVE', [reason]]);
      assert.deepEqual(
        analysis.explanations.map(({ code }) => code),
        [reason],
      );
      assert.deepEqual(runs, []);
    });
  }
});
