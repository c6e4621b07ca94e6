import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeEyeBlinkPackage } from '../../testing/cue-packages.ts';
import { analysed } from '../../testing/detectors.ts';
import { clip } from '../../testing/media.ts';
import { type ScriptedFace, ScriptedFinder } from '../../testing/scripted-faces.ts';

type Pipeline = Readonly<Record<string, unknown>>;

/** White in the first second and black in the second one. */
const clipAt = (rate: number) =>
  clip({
    source: `color=white:size=200x100:rate=${rate}:duration=2,drawbox=color=black:t=fill:enable='gte(t,1)'`,
    extension: 'mp4',
    options: ['-c:v', 'libx264', '-preset', 'ultrafast'],
  });
const media = await clipAt(20);
const slow = await clipAt(5);

const blinks = { threshold: { mode: 'adaptive', percentile: 80, share: 0.75 }, minFrames: 2 };
const sampling = { mode: 'fps', rate: 20, maxFrames: 100 };

const judged = (
  script: (picture: number) => readonly ScriptedFace[],
  pipeline: Pipeline = {},
  bytes = media,
) =>
  analysed(
    (folder) => writeEyeBlinkPackage(folder, { pipeline: { sampling, blinks, ...pipeline } }),
    bytes,
    async () => new ScriptedFinder(script),
  );

const box = { x: 50, y: 20, width: 60, height: 60 };
const eyes = (ear: number, more: Partial<ScriptedFace> = {}): ScriptedFace => ({ box, ear, ...more });
/** Closed in the frames of these ranges, both ends included. */
const blinking =
  (...ranges: readonly (readonly [number, number])[]) =>
  (picture: number) => [
    eyes(ranges.some(([first, last]) => picture >= first && picture <= last) ? 0.1 : 0.3),
  ];

describe('eyes that blink', () => {
  test('are judged in windows of the frames in which they are closed', async () => {
    const { analysis, runs } = await judged(blinking([5, 7], [15, 16], [30, 30]));
    // Five frames of two blinks, all white; one frame alone is no blink.
    assert.deepEqual(runs, [1, 1]);
    assert.ok((analysis.score ?? 0) > 0.97, `${analysis.score}`);
    assert.deepEqual(
      analysis.segments?.map(({ start_s, end_s }) => [start_s.toFixed(2), end_s.toFixed(2)]),
      [
        ['0.25', '0.75'],
        ['0.30', '0.80'],
      ],
    );
    const { mean_ear, ...signals } = analysis.signals;
    assert.ok(typeof mean_ear === 'number' && Math.abs(mean_ear - 0.27) < 1e-5);
    assert.deepEqual(signals, {
      frames_analysed: 40,
      frames_with_face: 40,
      eyes_observed_seconds: 2,
      blink_count: 2,
      blinks_per_minute: 60,
      mean_blink_duration_ms: 125,
      blink_sequences_found: 2,
      suspicious_blink_sequences: 2,
      average_blink_suspicion: signals['average_blink_suspicion'],
    });
    assert.deepEqual(analysis.notes, []);
    assert.match(analysis.explanations[1]?.text ?? '', /^2 of 2 windows /);
  });

  test('are pictures of the eyes at that moment', async () => {
    const { analysis } = await judged(blinking([5, 7], [30, 32]));
    // White twice or three times in windows of four.
    const scores = analysis.segments?.map(({ score }) => score) ?? [];
    const expected = [0.5, 0, -0.5].map((mean) => 1 / (1 + Math.exp(-4 * mean)));
    assert.equal(scores.length, 3);
    for (const [index, score] of scores.entries())
      assert.ok(Math.abs(score - (expected[index] ?? NaN)) < 0.03, `${scores}`);
  });

  test('count where one eye alone can be seen', async () => {
    const script = (picture: number) => [
      eyes(0, { ear: [picture >= 5 && picture <= 8 ? 0.1 : 0.3, 0.3], eyeWidths: [14, 5] }),
    ];
    const { analysis } = await judged(script);
    assert.deepEqual(analysis.inconclusiveReasons, []);
    assert.equal(analysis.signals['blink_count'], 1);
  });

  test('are judged as often as the package says', async () => {
    const { analysis } = await judged(blinking([0, 19]), {
      blinks: { threshold: { mode: 'fixed', ear: 0.2 }, minFrames: 2 },
      stride: 2,
      maxWindows: 3,
    });
    assert.deepEqual(
      analysis.frames?.map(({ index }) => index),
      [3, 11, 19],
    );
  });

  test('of a video with few frames are looked at once each, and the answer says what may be missed', async () => {
    const { analysis } = await judged(blinking([2, 5]), {}, slow);
    assert.deepEqual(analysis.notes, [
      'The video has 5.0 frames per second and the model looks at 20: short blinks may be missed.',
    ]);
    const { frames_analysed, mean_blink_duration_ms } = analysis.signals;
    assert.deepEqual([frames_analysed, mean_blink_duration_ms], [10, 800]);
  });

  const inconclusive: {
    name: string;
    script: (picture: number) => readonly ScriptedFace[];
    pipeline?: Pipeline;
    reason: string;
  }[] = [
    { name: 'of nobody', script: () => [], reason: 'no_face' },
    { name: 'too small to see', script: () => [eyes(0.1, { eyeWidths: [3, 3] })], reason: 'no_face' },
    {
      name: 'seen in fewer frames than a window has',
      script: (picture) => (picture < 3 ? [eyes(0.1)] : []),
      reason: 'too_few_faces',
    },
    { name: 'that never close', script: () => [eyes(0.3)], reason: 'too_few_blinks' },
    { name: 'that close for too few frames', script: blinking([5, 7]), reason: 'too_few_blinks' },
    {
      name: 'of a face that leaves in the middle of a blink',
      script: (picture) => (picture < 8 ? blinking([5, 20])(picture) : []),
      reason: 'too_few_blinks',
    },
    {
      name: 'in a clip with fewer frames than a window has',
      script: () => [eyes(0.1)],
      pipeline: { sampling: { mode: 'fps', rate: 1, maxFrames: 100 } },
      reason: 'too_short',
    },
  ];
  for (const { name, script, pipeline, reason } of inconclusive) {
    test(`${name} give no verdict, and no graph is run`, async () => {
      const { analysis, runs } = await judged(script, pipeline);
      assert.deepEqual(
        [analysis.score, analysis.verdict, analysis.inconclusiveReasons],
        [null, 'INCONCLUSIVE', [reason]],
      );
      assert.deepEqual(
        analysis.explanations.map(({ code }) => code),
        [reason],
      );
      assert.deepEqual(runs, []);
    });
  }
});
