import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunningServer } from '../../serve.ts';
import { flatImage, noiseImage, tone } from '../../testing/media.ts';
import { testKey, withTestServer } from '../../testing/server.ts';

const white = await flatImage({ width: 300, height: 300, level: 255, format: 'jpeg' });
const narrow = await flatImage({ width: 400, height: 100, level: 0, format: 'png' });
const sound = tone({ seconds: 4, shape: 'square' });
const jsonType = { 'content-type': 'application/json' };

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of many shapes
  readonly body: any;
}

const mediaInput = (media: Buffer, parameters?: object) => ({
  name: 'media',
  shape: [1],
  datatype: 'BYTES',
  data: [media.toString('base64')],
  ...(parameters === undefined ? {} : { parameters }),
});
const itemLength = 3 * 256 * 256;
const pixels = (count: number, level = 255) => ({
  name: 'pixels',
  shape: [count, 3, 256, 256],
  datatype: 'FP32',
  parameters: { binary_data_size: count * itemLength * 4 },
  bytes: new Uint8Array(new Float32Array(count * itemLength).fill(level).buffer),
});

/** JSON with the bytes of the inputs behind it. */
function binaryBody(request: object, ...parts: readonly Uint8Array[]) {
  const json = Buffer.from(JSON.stringify(request));
  return {
    body: Buffer.concat([json, ...parts]),
    headers: { 'inference-header-content-length': String(json.length) },
  };
}

describe('the inference protocol', () => {
  let server: RunningServer;
  let release: () => void;
  let stopped: Promise<void>;
  before(async () => {
    const started = Promise.withResolvers<RunningServer>();
    const end = Promise.withResolvers<void>();
    release = end.resolve;
    stopped = withTestServer(
      async (running) => {
        started.resolve(running);
        await end.promise;
      },
      { API_KEY: '', MAX_TENSOR_BYTES: '2000000' },
    );
    stopped.catch(started.reject);
    server = await started.promise;
  });
  after(async () => {
    release();
    await stopped;
  });

  async function ask(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(server.url + path, init);
    const bytes = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length') ?? bytes.length);
    const json = JSON.parse(bytes.subarray(0, length).toString());
    return {
      status: response.status,
      headers: response.headers,
      body: { ...json, rest: bytes.subarray(length) },
    };
  }

  function infer(model: string, request: object): Promise<Answer> {
    return ask(`/v2/models/${model}/infer`, {
      method: 'POST',
      headers: jsonType,
      body: JSON.stringify(request),
    });
  }

  test('tells what the server and its models are', async () => {
    const { body } = await ask('/v2');
    assert.deepEqual(body.extensions, ['binary_tensor_data', 'model_repository', 'statistics']);
    const picture = (await ask('/v2/models/picture')).body;
    assert.deepEqual(picture.versions, ['1.2.3']);
    assert.deepEqual(picture.inputs, [{ name: 'media', datatype: 'BYTES', shape: [1] }]);
    assert.deepEqual(
      picture.outputs.map(({ name }: { name: string }) => name),
      ['score', 'verdict', 'inconclusive_reasons', 'heatmap'],
    );
    const graph = (await ask('/v2/models/picture.graph/versions/1.2.3')).body;
    assert.equal(graph.platform, 'onnx_onnxv1');
    assert.deepEqual(graph.inputs, [{ name: 'pixels', datatype: 'FP32', shape: [-1, 3, 256, 256] }]);
    assert.deepEqual(graph.outputs, [{ name: 'logit', datatype: 'FP32', shape: [-1, 1] }]);
  });

  test('tells that the server and its models are ready', async () => {
    assert.equal((await ask('/v2/health/live')).body.live, true);
    assert.equal((await ask('/v2/health/ready')).body.ready, true);
    const { body } = await ask('/v2/models/voice.graph/ready');
    assert.deepEqual([body.name, body.ready], ['voice.graph', true]);
  });

  test('judges a picture in base64, and echoes the id', async () => {
    const { status, body } = await infer('picture', { id: 'mine', inputs: [mediaInput(white)] });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.model_name, body.model_version, body.id], ['picture', '1.2.3', 'mine']);
    const [score, verdict, reasons, regions] = body.outputs;
    assert.deepEqual([score.shape, verdict.shape, reasons.shape, regions.shape], [[1], [1], [0], [2, 2]]);
    assert.ok(Math.abs(score.data[0] - 0.982) < 0.001);
    assert.deepEqual(verdict.data, ['DEEPFAKE']);
  });

  test('judges a sound that comes as bytes, and answers with the wanted outputs in their order', async () => {
    const framed = Buffer.concat([Buffer.alloc(4), sound]);
    framed.writeUInt32LE(sound.length);
    const parameters = { binary_data_size: framed.length, content_type: 'audio/wav' };
    const request = {
      inputs: [{ name: 'media', shape: [1], datatype: 'BYTES', parameters }],
      outputs: [{ name: 'segment_scores', parameters: { binary_data: true } }, { name: 'verdict' }],
    };
    const init = { method: 'POST', ...binaryBody(request, framed) };
    const { status, headers, body } = await ask('/v2/models/voice/versions/1.2.3/infer', init);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(headers.get('content-type'), 'application/octet-stream');
    const [segments, verdict] = body.outputs;
    assert.deepEqual(segments.shape, [3]);
    assert.equal(segments.parameters.binary_data_size, 12);
    assert.equal(body.rest.length, 12);
    assert.deepEqual(verdict.data, ['DEEPFAKE']);
  });

  test('has no score for a picture that cannot be judged, but reasons', async () => {
    const { body } = await infer('picture', { inputs: [mediaInput(narrow, { content_type: 'base64' })] });
    const [score, verdict, reasons, regions] = body.outputs;
    assert.deepEqual([score.shape, score.data, regions.shape], [[0], [], [0, 0]]);
    assert.deepEqual([verdict.data, reasons.data], [['INCONCLUSIVE'], ['low_resolution']]);
  });

  test('hands tensors to the graph alone and its outputs back', async () => {
    const { bytes, ...input } = pixels(2);
    const init = { method: 'POST', ...binaryBody({ inputs: [input] }, bytes) };
    const { status, body } = await ask('/v2/models/picture.graph/infer', init);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(body.outputs, [{ name: 'logit', datatype: 'FP32', shape: [2, 1], data: [4, 4] }]);
  });

  test('counts what its models did', async () => {
    const { body } = await ask('/v2/models/picture.graph/stats');
    const [statistics] = body.model_stats;
    assert.equal(body.model_stats.length, 1);
    assert.ok(statistics.inference_stats.success.count >= 1);
    assert.ok(statistics.execution_count >= 1);
    assert.ok(statistics.inference_stats.compute_infer.ns > 0);
    const all = (await ask('/v2/models/stats')).body.model_stats;
    assert.deepEqual(
      all.map(({ name }: { name: string }) => name),
      ['picture', 'picture.graph', 'second', 'second.graph', 'voice', 'voice.graph'],
    );
    const detector = all[0];
    assert.ok(detector.batch_stats[0].compute_infer.count >= 4, JSON.stringify(detector));
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /nv_inference_request_success\{model="picture",version="1\.2\.3"\} [1-9]/);
    assert.match(metrics, /nv_inference_pending_request_count\{model="voice\.graph",version="1\.2\.3"\} 0/);
  });

  test('lists its models, and unloads and loads them while it runs', async () => {
    const index = async (body?: string) => {
      const init = { method: 'POST', ...(body === undefined ? {} : { body }) };
      return (await fetch(`${server.url}/v2/repository/index`, init)).json();
    };
    const change = (model: string, action: 'load' | 'unload') =>
      ask(`/v2/repository/models/${model}/${action}`, { method: 'POST' });
    const ready = (name: string) => ({ name, version: '1.2.3', state: 'READY', reason: '' });
    const all = ['picture', 'picture.graph', 'second', 'second.graph', 'voice', 'voice.graph'].map(ready);
    for (const body of [undefined, '', '{}']) assert.deepEqual(await index(body), all, body);

    assert.equal((await change('voice', 'unload')).status, 200);
    const gone = { name: 'voice', version: '', state: 'UNAVAILABLE', reason: 'it was unloaded' };
    const left = all.filter(({ name }) => !name.startsWith('voice'));
    assert.deepEqual(await index(), [...left, gone]);
    assert.deepEqual(await index('{"ready":true}'), left);
    assert.equal((await infer('voice', { inputs: [mediaInput(sound)] })).status, 404);

    assert.equal((await change('voice.graph', 'load')).status, 200);
    assert.deepEqual(await index(), all);
    assert.equal((await infer('voice', { inputs: [mediaInput(sound)] })).status, 200);

    const unknown = await change('nobody', 'load');
    assert.deepEqual([unknown.status, /nobody/.test(unknown.body.error)], [404, true]);
  });

  const tensor = { name: 'pixels', shape: [1, 3, 256, 256], datatype: 'FP32', data: [1] };
  const bad: readonly { name: string; model?: string; request: object; status?: number; says: RegExp }[] = [
    { name: 'an unknown model', model: 'nobody', request: { inputs: [tensor] }, status: 404, says: /nobody/ },
    {
      name: 'an unknown version',
      model: 'picture/versions/9',
      request: { inputs: [tensor] },
      status: 404,
      says: /has 1\.2\.3/,
    },
    { name: 'no inputs', request: { inputs: [] }, says: /body\.inputs/ },
    { name: 'BF16', request: { inputs: [{ ...tensor, datatype: 'BF16' }] }, says: /datatype.*"FP16"/ },
    {
      name: 'an unknown input',
      request: { inputs: [{ ...tensor, name: 'x' }] },
      says: /"x": its inputs are/,
    },
    { name: 'an input that comes twice', request: { inputs: [tensor, tensor] }, says: /twice/ },
    {
      name: 'a wrong datatype',
      request: { inputs: [{ ...tensor, datatype: 'INT8' }] },
      says: /must be FP32/,
    },
    {
      name: 'a wrong shape',
      request: { inputs: [{ ...tensor, shape: [1] }] },
      says: /must be \[-1,3,256,256\]/,
    },
    { name: 'too few data', request: { inputs: [tensor] }, says: /1 elements.*needs 196608/ },
    {
      name: 'an unknown output',
      request: { inputs: [tensor], outputs: [{ name: 'y' }] },
      says: /no output "y"; it has logit/,
    },
    {
      name: 'shared memory',
      request: { inputs: [{ ...tensor, parameters: { shared_memory_region: 'r' } }] },
      says: /shared_memory_region: is not supported/,
    },
    {
      name: 'a classification',
      request: { inputs: [tensor], outputs: [{ name: 'logit', parameters: { classification: 1 } }] },
      says: /classification: is not supported/,
    },
    {
      name: 'text that is no base64',
      model: 'picture',
      request: { inputs: [{ ...mediaInput(white), data: ['???'] }] },
      says: /not base64/,
    },
    {
      name: 'an empty file',
      model: 'picture',
      request: { inputs: [{ ...mediaInput(white), data: [''] }] },
      says: /empty/,
    },
    {
      name: 'a sound for a picture model',
      model: 'picture',
      request: { inputs: [mediaInput(sound)] },
      status: 422,
      says: /analyses image/,
    },
    {
      name: 'a cut picture',
      model: 'picture',
      request: { inputs: [mediaInput(white.subarray(0, white.length / 2))] },
      status: 422,
      says: /corrupt/,
    },
    {
      name: 'a body beyond the limit',
      request: { inputs: [{ ...tensor, data: new Array(1_100_000).fill(1) }] },
      status: 413,
      says: /2000000 bytes/,
    },
  ];
  for (const { name, model = 'picture.graph', request, status = 400, says } of bad) {
    test(`refuses ${name}`, async () => {
      const { status: found, body } = await infer(model, request);
      const { rest, ...error } = body;
      assert.deepEqual([found, Object.keys(error)], [status, ['error']], JSON.stringify(error));
      assert.match(error.error, says);
    });
  }

  test('refuses a body that is no JSON, no body, and a path that does not exist', async () => {
    const path = '/v2/models/picture/infer';
    for (const body of ['{', ''])
      assert.equal((await ask(path, { method: 'POST', headers: jsonType, body })).status, 400);
    const { status, body } = await ask('/v2/nothing');
    assert.equal(status, 404);
    assert.match(body.error, /there is no GET \/v2\/nothing/);
  });

  test('ends an inference at the time that the request gives it', async () => {
    const unknown = await noiseImage(1000, 1000, 'jpeg');
    const request = { inputs: [mediaInput(unknown)], parameters: { timeout: 1 } };
    assert.equal((await infer('picture', request)).status, 504);
  });

  test('refuses a value that JSON cannot hold, and gives it as binary data', async () => {
    const { bytes, ...input } = pixels(1, Number.NaN);
    const send = (outputs: object[]) =>
      ask('/v2/models/picture.graph/infer', {
        method: 'POST',
        ...binaryBody({ inputs: [input], outputs }, bytes),
      });
    const refused = await send([{ name: 'logit' }]);
    assert.deepEqual([refused.status, /NaN.*binary_data/.test(refused.body.error)], [422, true]);
    const { body } = await send([{ name: 'logit', parameters: { binary_data: true } }]);
    assert.ok(Number.isNaN(body.rest.readFloatLE()));
  });
});

test('a key is asked for where something is read or computed, and never of probes', async () => {
  await withTestServer(async ({ url }) => {
    const statusOf = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status;
    assert.equal(await statusOf('/v2/health/live'), 200);
    assert.equal(await statusOf('/v2/health/ready'), 200);
    for (const path of ['/v2', '/v2/models/picture', '/v2/models/stats'])
      assert.equal(await statusOf(path), 401, path);
    const refused = await fetch(`${url}/v2/models/picture/infer`, { method: 'POST' });
    assert.deepEqual(await refused.json(), { error: 'Invalid or missing API Key' });
    assert.equal(await statusOf('/v2', { headers: { 'x-api-key': testKey } }), 200);
  });
});
