import assert from 'node:assert/strict';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { flatImage, inTemporaryFolder, noiseImage, tone, transcode } from '../testing/media.ts';
import { writeAudioPackage, writeImagePackage } from '../testing/packages.ts';

const key = 'right-key';
const quiet = createLogger('silent');
const white = await flatImage({ width: 300, height: 300, level: 255, format: 'jpeg' });
const black = await flatImage({ width: 300, height: 300, level: 0, format: 'webp' });
const gray = await flatImage({ width: 300, height: 300, level: 130, format: 'png' });
const speech = tone({ seconds: 4, shape: 'square', sampleRate: 22_050, channels: 2, padding: 0.5 });
const flac = await transcode(speech, 'flac');
const notFinite = await transcode(speech, 'wav', ['-ar', '16000', '-ac', '1', '-c:a', 'pcm_f32le']);
notFinite.writeFloatLE(Number.NaN, notFinite.length - 40_000);
const tooLoud = Buffer.from(notFinite);
tooLoud.writeFloatLE(1e30, tooLoud.length - 40_000);
const narrow = await flatImage({ width: 400, height: 100, level: 0, format: 'png' });
const huge = await flatImage({ width: 2000, height: 1000, level: 0, format: 'png' });
const cutPicture = (await noiseImage(300, 300, 'jpeg')).subarray(0, 9000);
const video = await transcode(tone({ seconds: 1 }), 'mp4', [
  '-f',
  'lavfi',
  '-i',
  'color=size=32x32:duration=1',
  '-c:v',
  'mpeg4',
]);

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of many shapes
  readonly body: any;
}

interface Post {
  readonly media?: Uint8Array | undefined;
  readonly field?: string;
  readonly fileName?: string;
  readonly type?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

async function post(
  server: RunningServer,
  { media, field = 'media', fileName = 'f', type = '', fields = {}, headers = {}, signal }: Post,
): Promise<Answer> {
  const form = new FormData();
  if (media !== undefined) form.set(field, new Blob([new Uint8Array(media)], { type }), fileName);
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  const init = {
    method: 'POST',
    body: form,
    headers: { 'x-api-key': key, ...headers },
    ...(signal === undefined ? {} : { signal }),
  };
  return answerOf(await fetch(`${server.url}/analyze`, init));
}

async function get(
  server: RunningServer,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return answerOf(await fetch(server.url + path, { headers }));
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** Starts a server on a free port with a picture model, a sound model and a picture model that takes its time; it judges every file anew. */
async function withServer<T>(
  env: Readonly<Record<string, string>>,
  action: (server: RunningServer) => Promise<T>,
): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    await writeAudioPackage(join(folder, 'voice'));
    await writeImagePackage(join(folder, 'slow'), { delays: 400 });
    const server = await startServer(
      readConfig({
        PORT: '0',
        API_KEY: key,
        MODELS_DIR: folder,
        ENGINE_WORKERS: '1',
        CACHE_BACKEND: 'off',
        // Files can be counted.
        MAX_MEMORY_UPLOAD_BYTES: '0',
        ...env,
      }),
      quiet,
    );
    try {
      return await action(server);
    } finally {
      await server.stop();
    }
  });
}

const mediaHeader = 'Content-Disposition: form-data; name="media"; filename="a"';

/** A client that sends the headers and `bytes` of a longer body and then falls silent; it still listens. */
function stalledUpload(server: RunningServer, bytes: string) {
  const headers = {
    'x-api-key': key,
    'content-type': 'multipart/form-data; boundary=x',
    'content-length': 900_000,
  };
  const request = httpRequest(`${server.url}/analyze`, { method: 'POST', headers });
  const answered = Promise.withResolvers<{
    status: number | undefined;
    error: string;
    closed: Promise<void>;
  }>();
  request.on('error', answered.reject);
  request.on('response', (response) => {
    const closed = Promise.withResolvers<void>();
    response.socket.once('close', () => closed.resolve());
    json(response).then(
      (body) =>
        answered.resolve({
          status: response.statusCode,
          error: (body as { error: string }).error,
          closed: closed.promise,
        }),
      answered.reject,
    );
  });
  answered.promise.catch(() => undefined);
  request.flushHeaders();
  if (bytes !== '') request.write(bytes);
  return { request, answer: answered.promise };
}

async function uploadFolders(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith(`deepfake-uploads-${process.pid}-`));
}

/** Everything of this process that lies in the folders for uploads. */
async function uploadsOnDisk(): Promise<string[]> {
  return (await Promise.all((await uploadFolders()).map((folder) => readdir(join(tmpdir(), folder))))).flat();
}

async function metric(server: RunningServer, line: RegExp): Promise<number> {
  const { body } = await get(server, '/metrics');
  return Number(line.exec(body)?.[1] ?? Number.NaN);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await condition()); waited += 25) {
    assert.ok(waited < 10_000, 'the condition did not become true within 10 s');
    await delay(25);
  }
}

describe('a running server', () => {
  let server: RunningServer;
  let release: () => void;
  let stopped: Promise<void>;
  before(async () => {
    const started = Promise.withResolvers<RunningServer>();
    const end = Promise.withResolvers<void>();
    release = end.resolve;
    const env = {
      ACTIVE_MODELS: 'picture,voice',
      API_KEY: `other-key,${key}`,
      MAX_UPLOAD_BYTES: '1000000',
      MAX_IMAGE_PIXELS: '1000000',
    };
    const identity = { POD_NAME: 'pod-1', POD_NAMESPACE: 'ns', REVISION: 'abc' };
    stopped = withServer({ ...env, ...identity }, async (running) => {
      await running.ready;
      started.resolve(running);
      await end.promise;
    });
    stopped.catch(started.reject);
    server = await started.promise;
  });
  after(async () => {
    assert.deepEqual(await uploadsOnDisk(), []);
    release();
    await stopped;
  });

  const verdicts = [
    { name: 'a white picture', media: white, verdict: 'DEEPFAKE', prediction: 'FAKE', type: 'image' },
    { name: 'a black picture', media: black, verdict: 'AUTHENTIC', prediction: 'REAL', type: 'image' },
    { name: 'a gray picture', media: gray, verdict: 'SUSPICIOUS', prediction: 'FAKE', type: 'image' },
    { name: 'a square wave', media: speech, verdict: 'DEEPFAKE', prediction: 'FAKE', type: 'audio' },
    { name: 'a square wave in FLAC', media: flac, verdict: 'DEEPFAKE', prediction: 'FAKE', type: 'audio' },
  ];
  for (const { name, media, verdict, prediction, type } of verdicts) {
    test(`calls ${name} ${verdict}`, async () => {
      const { status, body } = await post(server, { media });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(
        [body.data.verdict, body.data.prediction, body.data.media_type],
        [verdict, prediction, type],
      );
      assert.ok(body.data.explanations.length > 0);
    });
  }

  test('answers with everything that a client needs to trust and trace a verdict', async () => {
    const { body, headers } = await post(server, { media: white, headers: { 'x-request-id': 'trace-7' } });
    assert.equal(headers.get('x-request-id'), 'trace-7');
    assert.equal(body.request_id, 'trace-7');
    assert.equal(body.success, true);
    assert.equal(body.model_used, 'picture');
    assert.ok(Math.abs(body.data.score - 0.982) < 0.001);
    assert.equal(body.data.confidence, body.data.score);
    assert.deepEqual(body.data.thresholds, { low: 0.3, high: 0.7 });
    assert.deepEqual(body.data.dimensions, { width: 300, height: 300 });
    assert.deepEqual([body.data.signals.heatmap.rows, body.data.signals.heatmap.cols], [2, 2]);
    assert.deepEqual([body.data.media.bytes, body.data.media.mime], [white.length, 'image/jpeg']);
    assert.match(body.data.media.sha256, /^[0-9a-f]{64}$/);
    assert.match(body.data.note, /demonstration model/);
    assert.match(body.model.digest, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(
      { ...body.model, digest: '' },
      {
        name: 'picture',
        package: 'test-image',
        version: '1.2.3',
        digest: '',
        precision: 'fp32',
        status: 'demonstration',
        device: 'cpu',
      },
    );
    assert.deepEqual(body.served_by, { pod: 'pod-1', namespace: 'ns', revision: 'abc' });
    assert.deepEqual(Object.keys(body.data.timings_ms), [
      'upload',
      'queue',
      'decode',
      'preprocess',
      'infer',
      'total',
    ]);
  });

  test('answers for sound with its segments, in the time of the file', async () => {
    const { body } = await post(server, {
      media: speech,
      fields: { model: 'voice', mediaId: 'm', userId: 'u' },
    });
    assert.deepEqual(body.data.properties, { duration_seconds: 5, sample_rate: 22_050, channels: 2 });
    assert.deepEqual(
      body.data.segments
        .slice(0, 3)
        .map((segment: { start_s: number }) => Math.round(segment.start_s * 10) / 10),
      [0.5, 1.5, 2.5],
    );
    assert.ok(Math.abs(body.data.signals.trimmed_seconds - 1) < 0.1);
  });

  test('measures sound beside its score, on top and among the signals', async () => {
    const { body } = await post(server, {
      media: tone({ seconds: 3, padding: 1 }),
      fields: { model: 'voice' },
    });
    const { pitch, energy, spectral, signals } = body.data;
    assert.deepEqual(
      { pitch, energy, spectral },
      {
        pitch: signals.pitch,
        energy: signals.energy,
        spectral: signals.spectral,
      },
    );
    assert.ok(Math.abs(pitch.mean_pitch_hz - 200) < 2, `${pitch.mean_pitch_hz} Hz`);
    assert.ok(pitch.pitch_stability_score > 0.9);
    assert.ok(Math.abs(energy.silence_ratio - 0.4) < 0.05, `${energy.silence_ratio}`);
    assert.ok(Math.abs(spectral.spectral_centroid - 200) < 100);
    assert.ok(spectral.spectral_contrast > 20);
  });

  test('makes up no measures of silence, and has none of pictures', async () => {
    const silent = await post(server, { media: tone({ seconds: 3, shape: 'silence' }) });
    assert.deepEqual(silent.body.data.pitch, { mean_pitch_hz: null, pitch_stability_score: null });
    assert.deepEqual(silent.body.data.energy, { rms_energy: 0, silence_ratio: null });
    assert.deepEqual(silent.body.data.spectral, { spectral_centroid: null, spectral_contrast: null });
    const picture = await post(server, { media: white });
    assert.equal('pitch' in picture.body.data, false);
  });

  const inconclusive = [
    { name: 'a small picture', media: narrow, reason: 'low_resolution' },
    { name: 'silence', media: tone({ seconds: 3, shape: 'silence' }), reason: 'silence' },
    { name: 'a short sound', media: tone({ seconds: 0.4, padding: 2 }), reason: 'too_short' },
  ];
  for (const { name, media, reason } of inconclusive) {
    test(`does not guess about ${name}`, async () => {
      const { status, body } = await post(server, { media });
      assert.equal(status, 200);
      assert.deepEqual(
        [body.data.verdict, body.data.prediction, body.data.score, body.data.confidence],
        ['INCONCLUSIVE', null, null, 0],
      );
      assert.deepEqual(body.data.inconclusive_reasons, [reason]);
      assert.equal(body.data.explanations[0].code, reason);
    });
  }

  test('judges by content what lies about its type, and says so', async () => {
    const { body } = await post(server, { media: white, fileName: 'song.wav', type: 'audio/wav' });
    assert.equal(body.data.media_type, 'image');
    assert.match(body.data.note, /declared as audio\/wav, but its content is image\/jpeg/);
  });

  const bad: { name: string; post: Post; status: number; error: string; message: RegExp }[] = [
    {
      name: 'no file',
      post: { fields: { model: 'voice' } },
      status: 400,
      error: 'missing_media',
      message: /only the fields model/,
    },
    {
      name: 'no field at all',
      post: { fields: {} },
      status: 400,
      error: 'missing_media',
      message: /found no fields/,
    },
    {
      name: 'a file in another field',
      post: { media: white, field: 'file' },
      status: 400,
      error: 'missing_media',
      message: /a file in the field "file".*-F media=@FILE/,
    },
    {
      name: 'an empty file',
      post: { media: Buffer.alloc(0) },
      status: 400,
      error: 'empty_media',
      message: /empty/,
    },
    {
      name: 'an oversized file',
      post: { media: Buffer.alloc(1_000_001) },
      status: 413,
      error: 'upload_too_large',
      message: /1000000 bytes/,
    },
    {
      name: 'a far oversized file',
      post: { media: Buffer.alloc(3_000_000) },
      status: 413,
      error: 'upload_too_large',
      message: /1000000 bytes/,
    },
    {
      name: 'too many pixels',
      post: { media: huge },
      status: 413,
      error: 'image_too_large',
      message: /2000x1000/,
    },
    {
      name: 'a document called a picture',
      post: { media: Buffer.from('%PDF-1.7\n%....\n'), fileName: 'photo.jpg', type: 'image/jpeg' },
      status: 415,
      error: 'unsupported_media',
      message: /content is application\/pdf; this server reads JPEG.*WAV/,
    },
    {
      name: 'random bytes',
      post: { media: Buffer.from('no media') },
      status: 415,
      error: 'unsupported_media',
      message: /begins with the bytes 6e 6f 20/,
    },
    {
      name: 'a cut picture',
      post: { media: cutPicture },
      status: 422,
      error: 'corrupt_media',
      message: /image\/jpeg file is corrupt or truncated/,
    },
    {
      name: 'a cut sound',
      post: { media: speech.subarray(0, 100_000) },
      status: 422,
      error: 'corrupt_media',
      message: /audio\/wav file is corrupt or truncated/,
    },
    {
      name: 'a sound with a sample that is no number',
      post: { media: notFinite },
      status: 422,
      error: 'corrupt_media',
      message: /audio\/wav file is corrupt or truncated: a sample is not a finite number/,
    },
    {
      name: 'a sound with a sample that no sound reaches',
      post: { media: tooLoud },
      status: 422,
      error: 'corrupt_media',
      message: /audio\/wav file is corrupt or truncated: a sample is more than 120 dB above full scale/,
    },
    {
      name: 'an unknown model',
      post: { media: white, fields: { model: 'oracle' } },
      status: 422,
      error: 'unknown_model',
      message: /"oracle".*picture \(image\), voice \(audio\)/,
    },
    {
      name: 'a model that is not active',
      post: { media: white, fields: { model: 'slow' } },
      status: 422,
      error: 'unknown_model',
      message: /"slow"/,
    },
    {
      name: 'a picture for the sound model',
      post: { media: white, fields: { model: 'voice' } },
      status: 422,
      error: 'wrong_modality',
      message: /"voice" analyses audio, but the media is image\/jpeg/,
    },
    {
      name: 'a video for the picture model',
      post: { media: video, fields: { model: 'picture' } },
      status: 422,
      error: 'wrong_modality',
      message: /"picture" analyses image, but the media is video\/mp4/,
    },
    {
      name: 'a wrong key',
      post: { media: white, headers: { 'x-api-key': 'wrong-key' } },
      status: 401,
      error: 'unauthorized',
      message: /^Invalid or missing API Key$/,
    },
    {
      name: 'an empty key',
      post: { media: white, headers: { 'x-api-key': '' } },
      status: 401,
      error: 'unauthorized',
      message: /^Invalid or missing API Key$/,
    },
  ];
  for (const { name, post: request, status, error, message } of bad) {
    test(`refuses ${name} with ${status}`, async () => {
      const answer = await post(server, request);
      assert.equal(answer.status, status, JSON.stringify(answer.body));
      assert.equal(answer.body.error, error);
      assert.match(answer.body.message, message);
      assert.equal(answer.body.detail, answer.body.message);
      assert.equal(answer.body.status_code, status);
      assert.match(answer.body.request_id, /^[0-9a-f-]{36}$/);
      assert.doesNotMatch(answer.body.message, new RegExp(tmpdir()));
    });
  }

  test('refuses a body that is not multipart, or breaks off, with 400', async () => {
    const send = async (headers: Record<string, string>, body: string) =>
      answerOf(
        await fetch(`${server.url}/analyze`, {
          method: 'POST',
          headers: { 'x-api-key': key, ...headers },
          body,
        }),
      );
    const json = await send({ 'content-type': 'application/json' }, '{}');
    assert.deepEqual([json.status, json.body.error], [400, 'not_multipart']);
    const broken = await send(
      { 'content-type': 'multipart/form-data; boundary=x' },
      '--x\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\nabc',
    );
    assert.deepEqual([broken.status, broken.body.error], [400, 'malformed_body']);
  });

  test('keeps a harmful request id out of its logs and headers', async () => {
    const { headers } = await get(server, '/ping', { 'x-request-id': 'a b<script>' });
    assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  });

  test('needs a key for everything but probes, metrics and the front page', async () => {
    for (const path of ['/', '/ping', '/health/live', '/health/ready', '/metrics'])
      assert.equal((await get(server, path)).status, 200, path);
    for (const path of ['/models', '/nowhere']) assert.equal((await get(server, path)).status, 401, path);
    assert.equal((await get(server, '/models', { 'x-api-key': 'other-key' })).status, 200);
    assert.deepEqual((await get(server, '/nowhere', { 'x-api-key': key })).body.error, 'not_found');
  });

  test('describes its models', async () => {
    const { body } = await get(server, '/models', { 'x-api-key': key });
    assert.deepEqual(body.summary, {
      total_configured: 2,
      currently_loaded: 2,
      active_models: ['picture', 'voice'],
      loaded_models: ['picture', 'voice'],
      default_model: 'picture',
      ready: true,
    });
    const [picture] = body.models;
    assert.deepEqual(
      [picture.isImage, picture.isAudio, picture.class_name, picture.version],
      [true, false, 'image-residual', '1.2.3'],
    );
    assert.ok(picture.inference_count >= 1);
    assert.equal(picture.card.status, 'demonstration');
    assert.deepEqual((await get(server, '/')).body.default_model, 'picture');
  });

  test('counts what it does', async () => {
    await post(server, { media: white });
    await post(server, { media: Buffer.from('no media') });
    const { body } = await get(server, '/metrics');
    const expected = [
      /^deepfake_requests_total\{route="\/analyze",code="200"\} \d+$/m,
      /^deepfake_requests_total\{route="\/analyze",code="415"\} \d+$/m,
      /^deepfake_request_duration_seconds_count\{route="\/analyze"\} \d+$/m,
      /^deepfake_stage_duration_seconds_count\{stage="infer"\} \d+$/m,
      /^deepfake_inference_total\{model="picture",version="1\.2\.3",result="ok"\} \d+$/m,
      /^deepfake_score_count\{model="picture",version="1\.2\.3"\} \d+$/m,
      /^deepfake_verdict_total\{model="picture",version="1\.2\.3",verdict="DEEPFAKE"\} \d+$/m,
      /^deepfake_model_ready\{model="voice",version="1\.2\.3"\} 1$/m,
      /^deepfake_model_info\{model="voice",version="1\.2\.3",digest="sha256:[0-9a-f]{64}"\} 1$/m,
      /^deepfake_queue_depth\{priority="interactive"\} 0$/m,
      /^deepfake_queue_age_seconds\{priority="batch"\} 0$/m,
      /^deepfake_worker_restarts_total 0$/m,
      /^deepfake_ffmpeg_exit_total\{reason="ok"\} \d+$/m,
    ];
    for (const line of expected) assert.match(body, line);
  });
});

describe('a server under load', () => {
  const large = flatImage({ width: 900, height: 900, level: 255, format: 'png' });

  test('refuses what does not fit into its queue with 503 and Retry-After, and answers the rest', async () => {
    await withServer({ MAX_QUEUE: '1' }, async (server) => {
      await server.ready;
      const media = await large;
      const answers = await Promise.all(
        [1, 2, 3, 4, 5].map(() => post(server, { media, fields: { model: 'slow' } })),
      );
      const refused = answers.filter(({ status }) => status === 503);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 503, 503]);
      assert.equal(refused[0]?.body.error, 'queue_full');
      assert.equal(refused[0]?.headers.get('retry-after'), '1');
      assert.equal((await get(server, '/health/live')).status, 200);
    });
  });

  test('answers 504 when the time is over, and frees the worker', async () => {
    await withServer({ REQUEST_TIMEOUT_MS: '150' }, async (server) => {
      await server.ready;
      const { status, body } = await post(server, { media: await large, fields: { model: 'slow' } });
      assert.deepEqual([status, body.error], [504, 'deadline_exceeded']);
      assert.deepEqual(await uploadsOnDisk(), []);
      await until(
        async () => (await post(server, { media: white, fields: { model: 'picture' } })).status === 200,
      );
    });
  });

  test('stops working for a client that has left', async () => {
    await withServer({}, async (server) => {
      await server.ready;
      const client = new AbortController();
      const media = await large;
      const left = post(server, { media, fields: { model: 'slow' }, signal: client.signal });
      left.catch(() => undefined);
      await until(async () => (await uploadsOnDisk()).length === 1);
      await delay(50);
      client.abort();
      await assert.rejects(left);
      await until(
        async () =>
          (await metric(server, /deepfake_requests_total\{route="\/analyze",code="499"\} (\d+)/)) === 1,
      );
      await until(async () => (await uploadsOnDisk()).length === 0);
      assert.ok(
        Number.isNaN(
          await metric(
            server,
            /deepfake_inference_total\{model="slow",version="1\.2\.3",result="ok"\} (\d+)/,
          ),
        ),
      );
    });
  });

  test('forgets an upload that breaks off', async () => {
    await withServer({}, async (server) => {
      await server.ready;
      const headers = {
        'x-api-key': key,
        'content-type': 'multipart/form-data; boundary=x',
        'content-length': 900_000,
      };
      const request = httpRequest(`${server.url}/analyze`, { method: 'POST', headers });
      request.on('error', () => undefined);
      request.write(
        `--x\r\nContent-Disposition: form-data; name="media"; filename="a"\r\n\r\n${'a'.repeat(100_000)}`,
      );
      await until(async () => (await uploadsOnDisk()).length === 1);
      request.destroy();
      await until(async () => (await uploadsOnDisk()).length === 0);
    });
  });

  const stalls = [
    { name: 'inside the file', bytes: `--x\r\n${mediaHeader}\r\n\r\n${'a'.repeat(100_000)}` },
    {
      name: 'between the parts',
      bytes: `--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nslow\r\n--x`,
    },
    { name: 'after the file', bytes: `--x\r\n${mediaHeader}\r\n\r\nabc\r\n--x` },
    { name: 'before the body', bytes: '' },
  ];
  for (const { name, bytes } of stalls) {
    test(`answers 408 to an upload that stalls ${name}, and forgets it`, async () => {
      await withServer({ UPLOAD_TIMEOUT_MS: '300' }, async (server) => {
        await server.ready;
        const { status, error, closed } = await stalledUpload(server, bytes).answer;
        assert.deepEqual([status, error], [408, 'upload_timeout']);
        await closed;
        await until(async () => (await uploadsOnDisk()).length === 0);
      });
    });
  }

  test('takes no more uploads at a time than it could queue and run', async () => {
    await withServer({ MAX_QUEUE: '1' }, async (server) => {
      await server.ready;
      const stalled = [1, 2, 3].map(() => stalledUpload(server, `--x\r\n${mediaHeader}\r\n\r\nabc`));
      await until(async () => (await uploadsOnDisk()).length === 3);
      const refused = await post(server, { media: white, fields: { model: 'picture' } });
      assert.deepEqual([refused.status, refused.body.error], [503, 'queue_full']);
      for (const { request } of stalled) request.destroy();
      await until(
        async () => (await post(server, { media: white, fields: { model: 'picture' } })).status === 200,
      );
    });
  });

  test('says 507 when its disk does not take an upload', async () => {
    await withServer({}, async (server) => {
      await server.ready;
      for (const folder of await uploadFolders()) await rm(join(tmpdir(), folder), { recursive: true });
      const { status, body, headers } = await post(server, { media: white });
      assert.deepEqual([status, body.error, headers.get('retry-after')], [507, 'storage_failed', '1']);
    });
  });

  test('does not wait longer than half of its grace for uploads when it is told to stop', async () => {
    await withServer({ SHUTDOWN_GRACE_MS: '2000' }, async (server) => {
      await server.ready;
      const { answer } = stalledUpload(server, `--x\r\n${mediaHeader}\r\n\r\nabc`);
      await until(async () => (await uploadsOnDisk()).length === 1);
      assert.equal(await server.stop(), true);
      assert.deepEqual([(await answer).status, (await answer).error], [503, 'not_ready']);
    });
  });

  test('answers what is running when it is told to stop, and takes nothing new', async () => {
    await withServer({}, async (server) => {
      await server.ready;
      const running = post(server, { media: await large, fields: { model: 'slow' } });
      await until(async () => (await uploadsOnDisk()).length === 1);
      await delay(20);
      assert.equal(await server.stop(), true);
      assert.equal((await running).status, 200);
      await assert.rejects(get(server, '/health/live'));
    });
  });

  test('closes a connection after the requests that it may carry', async () => {
    await withServer({ MAX_REQUESTS_PER_CONNECTION: '1' }, async (server) => {
      assert.equal((await get(server, '/ping')).headers.get('connection'), 'close');
    });
  });
});

describe('a starting server', () => {
  test('is alive but not ready, and says why', async () => {
    await withServer({}, async (server) => {
      const probe = await get(server, '/health/ready');
      assert.deepEqual([probe.status, probe.body.status], [503, 'not_ready']);
      assert.match(probe.body.reason, /being loaded/);
      assert.equal((await get(server, '/health/live')).status, 200);
      const { status, body } = await post(server, { media: white });
      assert.deepEqual([status, body.error], [503, 'not_ready']);
      await server.ready;
      assert.equal((await get(server, '/health/ready')).status, 200);
    });
  });

  const refusals: {
    name: string;
    env: Record<string, string>;
    prepare?: (folder: string) => Promise<unknown>;
    message: RegExp;
  }[] = [
    {
      name: 'no model at all',
      env: {},
      prepare: async () => undefined,
      message: /holds no model package; set MODELS_DIR/,
    },
    {
      name: 'a model that is not there',
      env: { ACTIVE_MODELS: 'oracle' },
      message: /ACTIVE_MODELS: there is no active model called oracle; .* holds picture/,
    },
    {
      name: 'a default that is not there',
      env: { DEFAULT_MODEL_NAME: 'oracle' },
      message: /DEFAULT_MODEL_NAME/,
    },
    {
      name: 'another digest',
      env: { MODEL_DIGESTS: `picture=sha256:${'0'.repeat(64)}` },
      message: /model\.yaml: the digest is sha256:/,
    },
    {
      name: 'a device that is not there',
      env: { DEVICE: 'cuda' },
      message: /DEVICE=cuda: this build of onnxruntime cannot use it/,
    },
    {
      name: 'a damaged graph',
      env: {},
      prepare: async (folder) => {
        await writeImagePackage(join(folder, 'picture'));
        await writeFile(join(folder, 'picture/classifier.onnx'), 'damaged');
      },
      message: /classifier\.onnx: the SHA-256 is/,
    },
    {
      name: 'golden scores that are not reproduced',
      env: {},
      prepare: (folder) =>
        writeImagePackage(join(folder, 'picture'), {
          manifest: { calibration: { method: 'temperature', temperature: 3 } },
        }),
      message:
        /model "picture": .*white\.png gives the score 0\.79\d\d, but model\.yaml expects 0\.982 ± 0\.02/,
    },
    {
      name: 'a graph with other ends than the manifest says',
      env: {},
      prepare: (folder) => writeImagePackage(join(folder, 'picture'), { graph: { output: 'probability' } }),
      message:
        /the graph has inputs \[pixels\] and outputs \[logit\], but model\.yaml names .* "probability"/,
    },
  ];
  for (const { name, env, prepare, message } of refusals) {
    test(`refuses ${name} in one line`, async () => {
      await inTemporaryFolder(async (folder) => {
        await (prepare ?? ((models) => writeImagePackage(join(models, 'picture'))))(folder);
        const start = async () => {
          const server = await startServer(readConfig({ PORT: '0', MODELS_DIR: folder, ...env }), quiet);
          await server.ready.finally(() => server.stop());
        };
        await assert.rejects(start(), (error: Error) => {
          assert.match(error.message, message);
          assert.equal(error.name, 'StartupError');
          return !error.message.includes('\n');
        });
      });
    });
  }
});
