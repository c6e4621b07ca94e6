import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writeColourCuesPackage, writeEyeBlinkPackage } from '../testing/cue-packages.ts';
import { faceClip } from '../testing/face-packages.ts';
import { servedDuringTests } from '../testing/served.ts';
import { analysisAnswer } from './views/analysis.ts';
import { detectionAnswer } from './views/detection.ts';

const clips = {
  face: await faceClip([{ x: '100', y: '40', side: 300 }]),
  nobody: await faceClip([]),
};

describe('a server with models of colours and of blinks', () => {
  const served = servedDuringTests(async (folder) => {
    await writeColourCuesPackage(join(folder, 'colours'));
    await writeEyeBlinkPackage(join(folder, 'blinks'));
  });

  async function post(path: string, model: string, media: Uint8Array): Promise<unknown> {
    const form = new FormData();
    form.set('media', new Blob([new Uint8Array(media)]), 'upload');
    form.set('model', model);
    const response = await fetch(served().url + path, { method: 'POST', body: form });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  const metrics = {
    colours: [
      'final_average_score',
      'rolling_average_scores',
      'sequence_count',
      'suspicious_sequences_count',
    ],
    blinks: [
      'average_blink_suspicion',
      'blink_count',
      'blink_sequences_found',
      'blinks_per_minute',
      'final_average_score',
      'mean_ear',
      'suspicious_blink_sequences',
    ],
  };
  for (const [model, names] of Object.entries(metrics)) {
    test(`tells what was measured under the names by which clients of models of ${model} know it`, async () => {
      const { data } = analysisAnswer.parse(await post('/analyze', model, clips.face));
      assert.notEqual(data.prediction, null);
      assert.deepEqual(Object.keys(data.metrics ?? {}).sort(), names);
      assert.ok(Math.abs((data.metrics?.final_average_score ?? NaN) - (data.score ?? NaN)) < 0.01);
    });
  }

  const reasons = [
    { model: 'colours', counted: { sequence_count: 0 } },
    { model: 'blinks', counted: { blink_sequences_found: 0, blink_count: 0 } },
  ];
  for (const { model, counted } of reasons) {
    test(`gives no verdict of ${model} where nobody is seen`, async () => {
      const answer = detectionAnswer.parse(await post('/v1/detections', model, clips.nobody));
      assert.deepEqual(
        [answer.verdict, answer.score, answer.inconclusive_reasons],
        ['INCONCLUSIVE', null, ['no_face']],
      );
      const { data } = analysisAnswer.parse(await post('/analyze', model, clips.nobody));
      assert.deepEqual([data.prediction, data.metrics], [null, { final_average_score: null, ...counted }]);
    });
  }

  test('describes every metric in its OpenAPI document', async () => {
    const response = await fetch(`${served().url}/openapi.json`);
    const document = JSON.stringify(await response.json());
    for (const name of [...metrics.colours, ...metrics.blinks, 'mean_blink_duration_ms'])
      assert.ok(document.includes(`"${name}":{`), name);
  });
});
