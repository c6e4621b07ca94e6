import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { frameElements } from '../../engine/tensors.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { Exchange } from '../exchange.ts';
import type { RouteDependencies } from '../server.ts';
import { mediaModel } from './media-model.ts';

/** What the model of a video answers where the analysis has frames with such scores. */
async function frameScores(scores: readonly (number | null)[] | undefined) {
  const frames = scores?.map((score, at) => ({ timestamp: at, score }));
  const detections = {
    withReception: (_: unknown, __: unknown, judge: (received: unknown) => unknown) => judge({ media: [{}] }),
    detect: async () => ({ analysis: { frames } }),
  };
  const model = mediaModel(
    { detections } as unknown as RouteDependencies,
    { name: 'clips', manifest: { version: '1.0.0', modality: 'video' } } as unknown as NamedPackage,
  );
  const input = {
    name: 'media',
    type: 'string',
    shape: [1],
    data: frameElements([Buffer.from('a video')]),
    contentType: undefined,
    isBinary: true,
  } as const;
  const [output] = await model.infer({} as Exchange, [input], ['frame_scores']);
  assert.ok(output !== undefined);
  const { data } = output;
  const values = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  return { shape: output.shape, values: [...values] };
}

describe('the scores of frames', () => {
  const rows = [
    { name: 'are those of all', scores: [0.25, 0, 1], expected: [0.25, 0, 1] },
    { name: 'leave out frames without one', scores: [null, 0.25, null, 0.5], expected: [0.25, 0.5] },
    { name: 'are none where no frame has one', scores: [null, null], expected: [] },
    { name: 'are none of a video without frames', scores: undefined, expected: [] },
  ];
  for (const { name, scores, expected } of rows) {
    test(name, async () =>
      assert.deepEqual(await frameScores(scores), { shape: [expected.length], values: expected }),
    );
  }
});
