import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeColourCuesPackage } from '../../testing/cue-packages.ts';
import { analysed } from '../../testing/detectors.ts';
import { faceClip } from '../../testing/face-packages.ts';
import { clip } from '../../testing/media.ts';
import { type ScriptedFace, ScriptedFinder } from '../../testing/scripted-faces.ts';

type Pipeline = Readonly<Record<string, unknown>>;

/** The left half is gray and the right one red: an eighth of the cells is what a face on one half has. */
const halves = await clip({
  source: 'color=gray:size=200x100:rate=10:duration=2,drawbox=x=100:w=100:h=100:color=red:t=fill',
  extension: 'mp4',
  options: ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv444p'],
});
const withoutPictures = await clip({ source: 'anullsrc=duration=1', extension: 'mkv' });

const judged = (
  script: (picture: number) => readonly ScriptedFace[],
  pipeline: Pipeline = {},
  media = halves,
) =>
  analysed(
    (folder) => writeColourCuesPackage(folder, { pipeline }),
    media,
    async () => new ScriptedFinder(script),
  );

const at = (x: number, side = 40): ScriptedFace => ({ box: { x, y: 30, width: side, height: side } });
/** The logit of histograms in which so many of 64 cells are 255: `writeColourCuesPackage`. */
const scoreOf = (cells: number) => 1 / (1 + Math.exp(-0.5 * ((cells * 255) / 64 - 8)));

describe('the colours of a face', () => {
  test('are judged in windows of its frames', async () => {
    const { analysis, runs, steps } = await judged(() => [at(20)]);
    assert.ok(Math.abs((analysis.score ?? NaN) - scoreOf(1)) < 1e-5, `${analysis.score}`);
    assert.deepEqual(runs, [1, 1, 1, 1, 1]);
    assert.deepEqual(
      analysis.frames?.map(({ index }) => index),
      [3, 4, 5, 6, 7],
    );
    assert.deepEqual(
      analysis.segments?.map(({ start_s, end_s }) => [start_s, end_s].map((s) => s.toFixed(3))),
      [
        ['0.125', '0.875'],
        ['0.375', '1.125'],
        ['0.625', '1.375'],
        ['0.875', '1.625'],
        ['1.125', '1.875'],
      ],
    );
    const { sequence_count, suspicious_sequences_count, rolling_average_scores } = analysis.signals;
    assert.deepEqual([sequence_count, suspicious_sequences_count], [5, 0]);
    assert.equal((rolling_average_scores as readonly number[]).length, 5);
    assert.match(analysis.explanations[1]?.text ?? '', /^5 of 5 windows /);
    assert.deepEqual(steps.at(-1)?.progress, 8);
  });

  // A pixel of colours that the codec mixed lies at the border of the halves.
  const margins = [
    { name: 'with as much around its landmarks as the package says', x: 50, margin: 20, more: true },
    { name: 'without what lies further away', x: 40, margin: 10, more: false },
    { name: 'without what lies outside the picture', x: -10, margin: 40, more: false },
  ];
  for (const { name, x, margin, more } of margins) {
    test(`are those of the face ${name}`, async () => {
      const { analysis } = await judged(() => [at(x)], { margin });
      assert.equal((analysis.score ?? NaN) > scoreOf(1) + 1e-5, more, `${analysis.score}`);
    });
  }

  test('do not mix those of two people', async () => {
    // The second one is seen from the sixth picture on that shows nobody else.
    const script = (picture: number) => (picture < 5 ? [at(20)] : [at(140)]);
    const { analysis } = await judged(script, { sampling: { mode: 'uniform', frames: 16 } });
    assert.deepEqual(
      analysis.frames?.map(({ index }) => index),
      [3, 4, 13, 14, 15],
    );
  });

  const inconclusive: {
    name: string;
    script: (picture: number) => readonly ScriptedFace[];
    media?: Buffer;
    pipeline?: Pipeline;
    reason: string;
  }[] = [
    { name: 'that is nowhere', script: () => [], reason: 'no_face' },
    { name: 'that is too small', script: () => [at(20, 19)], reason: 'no_face' },
    {
      name: 'in fewer frames than a window has',
      script: (picture) => (picture < 3 ? [at(20)] : []),
      reason: 'too_few_faces',
    },
    {
      name: 'in a clip with fewer frames than a window has',
      script: () => [at(20)],
      pipeline: { sampling: { mode: 'uniform', frames: 64 }, sequence: 21 },
      reason: 'too_short',
    },
    { name: 'in a file without pictures', script: () => [], media: withoutPictures, reason: 'no_frames' },
  ];
  for (const { name, script, media, pipeline, reason } of inconclusive) {
    test(`${name} give no verdict, and no graph is run`, async () => {
      const { analysis, runs } = await judged(script, pipeline, media);
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

  test('are found in a real face with the program’s own finder', async () => {
    const { analysis } = await analysed(
      (folder) => writeColourCuesPackage(folder),
      await faceClip([{ x: '20+60*t', y: '40', side: 300 }]),
    );
    assert.equal(analysis.signals['frames_with_face'], 8);
    assert.equal(analysis.verdict, 'AUTHENTIC');
  });
});
