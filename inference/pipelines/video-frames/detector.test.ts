import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Classifier } from '../../engine/session.ts';
import { PixelBudget } from '../../media/pixel-budget.ts';
import type { VideoFramesParameters } from '../../models/pipeline-parameters.ts';
import { clip, inTemporaryFolder } from '../../testing/media.ts';
import { meanGraph } from '../../testing/onnx.ts';
import type { Findings, ProgressStep, WorkerEvent } from '../analysis.ts';
import { videoFramesDetector } from './detector.ts';

const white = await clip({
  source: 'color=white:size=32x32:rate=10:duration=4',
  extension: 'mp4',
  options: ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
});
const parameters: VideoFramesParameters = {
  type: 'video-frames',
  sampling: { mode: 'uniform', frames: 20 },
  frame: { width: 16, height: 16, fit: 'fill', interpolation: 'area' },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0, 0, 0], std: [1, 1, 1] },
  keyframesOnly: false,
  minFrames: 2,
  aggregation: 'mean-logit',
};

async function detect(
  changes: Partial<VideoFramesParameters>,
): Promise<{ findings: Findings; steps: ProgressStep[]; events: WorkerEvent[] }> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'upload');
    await writeFile(path, white);
    const graph = meanGraph({ input: 'frames', itemShape: [3, 16, 16], centre: 0.5, gain: 4 });
    await writeFile(join(folder, 'graph.onnx'), graph);
    const names = {
      input: 'frames',
      output: 'logit',
      sha256: createHash('sha256').update(graph).digest('hex'),
    };
    const session = { device: 'cpu', intraOpThreads: 1 } as const;
    const classifier = await Classifier.open(join(folder, 'graph.onnx'), names, session);
    const scoring = { scoreOf: (logit: number) => 1 / (1 + Math.exp(-logit)), high: 0.7 };
    const steps: ProgressStep[] = [];
    const events: WorkerEvent[] = [];
    const findings = await videoFramesDetector(
      { ...parameters, ...changes },
      classifier,
      scoring,
    )(
      { path, media: { kind: 'video', mime: 'video/mp4', demuxer: 'mov' } },
      {
        signal: new AbortController().signal,
        pixelBudget: new PixelBudget(1e6),
        videoLimits: { maxSeconds: 60, maxPixels: 1e6, decoderThreads: 1 },
        emit: (event) => events.push(event),
        report: (step) => steps.push(step),
      },
    );
    return { findings, steps, events };
  });
}

describe('the frames of a video', () => {
  test('are judged in batches, and whoever watches is told after each', async () => {
    const { findings, steps, events } = await detect({});
    assert.ok(Math.abs((findings.logit ?? 0) - 2) < 0.05, `${findings.logit}`);
    assert.deepEqual(
      steps.map(({ event, progress, total }) => [event, progress, total]),
      [8, 16, 20].map((done) => ['FRAME_ANALYSIS_PROGRESS', done, 20]),
    );
    assert.deepEqual(events, [{ type: 'ffmpeg_exit', exit: 'ok' }]);
    assert.deepEqual(findings.notes, []);
  });

  const rows = [
    {
      name: 'at a rate with a largest number are a part of the video, and the answer says so',
      changes: { sampling: { mode: 'fps', rate: 5, maxFrames: 10 } },
      frames: 10,
      notes: ['Only the first 2.0 s were analysed.'],
    },
    {
      name: 'in windows are spread over the whole video',
      changes: { sampling: { mode: 'windows', startSeconds: 0, seconds: 1, count: 2, framesPerWindow: 3 } },
      frames: 6,
      notes: [],
    },
    {
      name: 'that are too few for the model are not judged',
      changes: { minFrames: 50 },
      frames: 0,
      notes: [],
    },
  ] as const;
  for (const { name, changes, frames, notes } of rows) {
    test(name, async () => {
      const { findings } = await detect(changes);
      assert.equal(findings.frames?.length, frames);
      assert.equal(findings.logit === null, frames === 0);
      assert.deepEqual(findings.notes, notes);
    });
  }
});
