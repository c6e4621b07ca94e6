import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { clip } from '../testing/media.ts';
import { writeTemporalPackage, writeVideoAudioPackage } from '../testing/sequence-packages.ts';
import { servedDuringTests } from '../testing/served.ts';
import { form } from '../testing/server.ts';
import { analysisAnswer } from './views/analysis.ts';
import { detectionAnswer } from './views/detection.ts';
import { modelCardAnswer } from './views/models.ts';

// biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of many shapes
type Body = any;

const white = await clip({
  source: 'color=white:size=64x48:rate=10:duration=2',
  extension: 'mp4',
  options: ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
});

describe('packages of several graphs', () => {
  const served = servedDuringTests(
    async (folder) => {
      await writeTemporalPackage(join(folder, 'sequence'));
      await writeVideoAudioPackage(join(folder, 'joint'));
    },
    { DEFAULT_MODEL_NAME: 'sequence' },
  );

  async function ask(path: string, init: RequestInit = {}): Promise<Body> {
    const response = await fetch(served().url + path, init);
    const body: Body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  const post = (path: string, body: FormData | string) =>
    ask(path, {
      method: 'POST',
      body,
      ...(typeof body === 'string' ? { headers: { 'content-type': 'application/json' } } : {}),
    });

  test('answer with a timeline beside the verdict of the whole clip', async () => {
    const { model_used, data } = analysisAnswer.parse(await post('/analyze', form(['media', white])));
    assert.deepEqual([model_used, data.verdict, data.frame_count], ['sequence', 'DEEPFAKE', 20]);
    assert.equal(data.frames_analyzed, 20);
    assert.deepEqual(
      data.frame_predictions?.map(({ index, prediction }) => [index, prediction]),
      [3, 7, 11, 15, 19].map((index) => [index, 'FAKE']),
    );
    assert.equal(data.segments?.length, 5);
    const { metrics = {} } = data;
    assert.deepEqual(Object.keys(metrics).sort(), [
      'final_average_score',
      'max_score',
      'min_score',
      'rolling_average_scores',
      'score_variance',
      'suspicious_frames_count',
    ]);
    assert.equal(metrics['suspicious_frames_count'], 5);
    assert.ok(Math.abs(Number(metrics['final_average_score']) - 0.982) < 1e-3, JSON.stringify(metrics));
  });

  test('say what is missing of what they judge', async () => {
    const media = () => form(['media', white], ['model', 'joint']);
    const { data } = analysisAnswer.parse(await post('/analyze', media()));
    assert.deepEqual([data.verdict, data.missing_modalities], ['DEEPFAKE', ['audio']]);
    assert.match(data.note, /has no sound track/);
    const detection = detectionAnswer.parse(await post('/v1/detections', media()));
    assert.deepEqual(detection.models[0]?.missing_modalities, ['audio']);
    assert.ok(detection.explanations.some((text) => text.includes('rests on its pictures alone')));
  });

  test('show every graph in their card', async () => {
    const card = modelCardAnswer.parse(await ask('/v1/models/joint'));
    assert.deepEqual(
      Object.entries(card.graphs).map(([name, { file }]) => [name, file]),
      [
        ['classifier', 'classifier.onnx'],
        ['encoder', 'encoder.onnx'],
        ['audio', 'audio.onnx'],
      ],
    );
  });

  test('give every graph to clients of the inference protocol', async () => {
    const index = await post('/v2/repository/index', '{}');
    assert.deepEqual(index.map(({ name }: { name: string }) => name).sort(), [
      'joint',
      'joint.audio.graph',
      'joint.encoder.graph',
      'joint.graph',
      'sequence',
      'sequence.encoder.graph',
      'sequence.graph',
    ]);
    const { inputs } = await ask('/v2/models/joint.graph');
    assert.deepEqual(
      inputs.map(({ name, shape }: { name: string; shape: number[] }) => [name, shape]),
      [
        ['frames', [-1, 4, 3]],
        ['sound', [-1, 2, 2]],
        ['presence', [-1, 2]],
      ],
    );
    const samples = { name: 'samples', datatype: 'FP32', shape: [1, 4000], data: Array(4000).fill(-0.5) };
    const { model_name, outputs } = await post(
      '/v2/models/joint.audio.graph/infer',
      JSON.stringify({ inputs: [samples] }),
    );
    assert.equal(model_name, 'joint.audio.graph');
    assert.deepEqual(outputs, [{ name: 'loudness', datatype: 'FP32', shape: [1, 2], data: [0.5, 0.5] }]);
    const { model_stats } = await ask('/v2/models/joint.audio.graph/stats');
    assert.deepEqual(
      model_stats.map(({ name, inference_count }: { name: string; inference_count: number }) => [
        name,
        inference_count,
      ]),
      [['joint.audio.graph', 1]],
    );
  });

  test('are loaded anew as a whole, by the name of any of their graphs', async () => {
    await post('/v2/repository/models/joint.encoder.graph/load', '{}');
    assert.equal((await ask('/v2/models/joint.audio.graph/ready')).ready, true);
  });
});
