import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { z } from 'zod';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { clip, flatImage, inTemporaryFolder } from '../testing/media.ts';
import {
  writeAudioPackage,
  writeClassifierPackage,
  writeImagePackage,
  writeVideoPackage,
} from '../testing/packages.ts';
import { answerOf, errorOf, form, send, testKey } from '../testing/server.ts';
import { analysisAnswer } from './views/analysis.ts';
import { detectionAnswer } from './views/detection.ts';
import { ensembleInfo } from './views/ensembles.ts';
import { readinessAnswer } from './views/health.ts';
import { catalogueAnswer, modelsAnswer } from './views/models.ts';
import { predictionAnswer } from './views/predictions.ts';

type Answer = z.infer<typeof detectionAnswer>;

const options = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
/** White pictures, which the model of frames calls a fake, beside a soft tone, which that of sound calls authentic. */
const mismatched = await clip({
  source: 'color=white:size=64x48:rate=10:duration=4',
  extension: 'mp4',
  options,
  soundSeconds: 4,
});
const silent = await clip({ source: 'color=white:size=64x48:rate=10:duration=4', extension: 'mp4', options });
const white = await flatImage({ width: 300, height: 300, level: 255, format: 'png' });
const black = await flatImage({ width: 300, height: 300, level: 0, format: 'png' });
const small = await flatImage({ width: 64, height: 64, level: 255, format: 'png' });

const thresholds = { low: 0.3, high: 0.7 };
const weights = { frames: 1, voice: 0.25 };
const ensembles = [
  {
    name: 'av-logistic',
    models: ['frames', 'voice'],
    method: 'logistic',
    intercept: -0.5,
    weights,
    missing: { voice: 0.75 },
    thresholds,
  },
  { name: 'av-both', models: ['frames', 'voice'], method: 'mean', minModels: 2, thresholds },
  { name: 'av-careful', models: ['frames', 'voice'], method: 'max', onDisagreement: 'abstain', thresholds },
  {
    name: 'pictures',
    models: ['picture', 'second'],
    method: 'weighted',
    weights: { picture: 3, second: 1 },
    thresholds,
  },
  { name: 'everything', models: ['picture', 'Frames', 'voice'], method: 'mean', thresholds },
];

/** Models are called `picture`, `second` (it sees the whole image), `frames`, `highest` and `voice`. */
async function withServer(
  action: (server: RunningServer) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    await writeClassifierPackage(join(folder, 'second'));
    await writeVideoPackage(join(folder, 'frames'));
    await writeVideoPackage(join(folder, 'highest'), { pipeline: { aggregation: 'max' } });
    await writeAudioPackage(join(folder, 'voice'));
    const settings = { PORT: '0', API_KEY: testKey, MODELS_DIR: folder, FUSION: JSON.stringify(ensembles) };
    const server = await startServer(
      readConfig({ ...settings, ENGINE_WORKERS: '1', ...env }),
      createLogger('silent'),
    );
    try {
      assert.ok(await server.ready);
      await action(server);
    } finally {
      await server.stop();
    }
  });
}

function detect(
  server: RunningServer,
  media: Uint8Array,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return send(server, '/v1/detections', form(['media', media], ...Object.entries(fields)), headers);
}

async function metric(server: RunningServer, line: RegExp): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(line.exec(text)?.[1] ?? Number.NaN);
}

/** That the parts make up the whole, as far as six decimals tell. */
function assertAddsUp({ fusion }: Answer): void {
  assert.ok(fusion !== null && fusion.logit !== null && fusion.score !== null);
  const sum = fusion.contributions.reduce(
    (total, { contribution }) => total + contribution,
    fusion.intercept,
  );
  assert.ok(Math.abs(sum - fusion.logit) < 1e-5, `${sum} ${fusion.logit}`);
  assert.ok(Math.abs(1 / (1 + Math.exp(-sum)) - fusion.score) < 1e-5);
}

describe('several models for one file', () => {
  let server: RunningServer;
  let release: () => void;
  let stopped: Promise<void>;
  before(async () => {
    const started = Promise.withResolvers<RunningServer>();
    const end = Promise.withResolvers<void>();
    release = end.resolve;
    stopped = withServer(async (running) => {
      started.resolve(running);
      await end.promise;
    });
    stopped.catch(started.reject);
    server = await started.promise;
  });
  after(async () => {
    release();
    await stopped;
  });

  test('give one answer, with the part of each', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, white, { models: 'picture,second' }));
    assert.deepEqual(
      answer.models.map(({ name, verdict, weight, status }) => [name, verdict, weight, status]),
      [
        ['picture', 'DEEPFAKE', 0.5, 'ok'],
        ['second', 'DEEPFAKE', 0.5, 'ok'],
      ],
    );
    assert.equal(answer.verdict, 'DEEPFAKE');
    assert.deepEqual([answer.fusion?.ensemble, answer.fusion?.method], [null, 'mean']);
    assert.deepEqual([answer.missing_models, answer.calibrated], [[], false]);
    assert.equal(answer.score, answer.fusion?.score);
    assertAddsUp(answer);
    for (const { timings_ms, explanations, signals } of answer.models) {
      assert.ok((timings_ms['infer'] ?? 0) > 0 && (timings_ms['upload'] ?? 0) > 0);
      assert.ok(explanations.length > 0 && Object.keys(signals).length > 0);
    }
  });

  const rows: readonly {
    name: string;
    media: Uint8Array;
    fields?: Readonly<Record<string, string>>;
    query?: string;
    models: readonly string[];
    fused: boolean;
  }[] = [
    {
      name: 'a list',
      media: white,
      fields: { models: 'second, picture' },
      models: ['second', 'picture'],
      fused: true,
    },
    {
      name: 'a JSON array',
      media: white,
      fields: { models: '["picture","SECOND"]' },
      models: ['picture', 'second'],
      fused: true,
    },
    {
      name: 'a query',
      media: white,
      query: '?models=picture,second',
      models: ['picture', 'second'],
      fused: true,
    },
    {
      name: 'a query that repeats itself',
      media: white,
      query: '?models=picture&models=second',
      models: ['picture', 'second'],
      fused: true,
    },
    { name: 'all', media: black, fields: { models: 'all' }, models: ['picture', 'second'], fused: true },
    {
      name: 'auto for a video',
      media: mismatched,
      query: '?models=auto',
      models: ['frames', 'highest', 'voice'],
      fused: true,
    },
    {
      name: 'an ensemble as a model',
      media: white,
      fields: { model: 'Pictures' },
      models: ['picture', 'second'],
      fused: true,
    },
    {
      name: 'an ensemble in a list of its own',
      media: white,
      fields: { models: 'pictures' },
      models: ['picture', 'second'],
      fused: true,
    },
    {
      name: 'an ensemble in the query',
      media: white,
      query: '?model=pictures',
      models: ['picture', 'second'],
      fused: true,
    },
    { name: 'a list of one', media: white, fields: { models: 'second' }, models: ['second'], fused: false },
    {
      name: 'one twice',
      media: white,
      fields: { models: 'second,second' },
      models: ['second'],
      fused: false,
    },
    {
      name: 'a model',
      media: white,
      fields: { model: 'second', models: '' },
      models: ['second'],
      fused: false,
    },
    { name: 'nothing', media: white, models: ['picture'], fused: false },
  ];
  for (const { name, media, fields = {}, query = '', models, fused } of rows) {
    test(`are chosen by ${name}`, async () => {
      const body = form(['media', media], ...Object.entries(fields));
      const answer = await answerOf(detectionAnswer, send(server, `/v1/detections${query}`, body));
      assert.deepEqual(
        answer.models.map((model) => model.name),
        models,
      );
      assert.equal(answer.fusion !== null, fused);
      if (fused) assertAddsUp(answer);
      else {
        assert.equal('missing_models' in answer, false);
        assert.deepEqual([answer.models[0]?.weight, answer.models[0]?.status], [1, undefined]);
      }
    });
  }

  test('are refused where the request contradicts itself or names nobody', async () => {
    const refused: readonly [number, string, Readonly<Record<string, string>>, string?][] = [
      [422, 'unknown_model', { models: 'picture,nobody' }],
      [422, 'wrong_modality', { models: 'frames,voice' }],
      [422, 'wrong_modality', { model: 'av-both' }],
      [400, 'invalid_request', { models: 'picture,pictures' }],
      [400, 'invalid_request', { model: 'picture', models: 'second' }],
      [400, 'invalid_request', { models: 'picture' }, '?models=second'],
      [400, 'invalid_request', { models: '["picture"' }],
      [400, 'invalid_request', { models: 'picture,,second' }],
    ];
    for (const [status, code, fields, query = ''] of refused) {
      const body = form(['media', white], ...Object.entries(fields));
      assert.equal(await errorOf(status, send(server, `/v1/detections${query}`, body)), code);
    }
    const twice = form(['media', white], ['models', 'picture'], ['models', 'second']);
    assert.equal(await errorOf(400, send(server, '/v1/detections', twice)), 'invalid_request');
    const unknown = await detect(server, white, { model: 'pictires' });
    assert.match(await unknown.text(), /pictures \(ensemble of picture, second\)/);
    const corrupt = mismatched.subarray(0, mismatched.length / 2);
    assert.equal(await errorOf(422, detect(server, corrupt, { models: 'all' })), 'corrupt_media');
  });

  test('of pictures and sound tell of their mismatch, and of their contradiction', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, mismatched, { model: 'av-logistic' }));
    const [frames, voice] = answer.models;
    assert.deepEqual([frames?.verdict, voice?.verdict], ['DEEPFAKE', 'AUTHENTIC']);
    const mismatch = answer.signals['av_mismatch'] as Record<string, unknown>;
    assert.equal(mismatch['verdicts_contradict'], true);
    assert.ok(Math.abs(Number(mismatch['difference']) - ((frames?.score ?? 0) - (voice?.score ?? 0))) < 1e-5);
    assert.deepEqual([answer.fusion?.ensemble, answer.fusion?.models_disagree], ['av-logistic', true]);
    assert.equal(answer.calibrated, true);
    assert.equal(answer.verdict, 'DEEPFAKE');
    assert.match(answer.explanations.join(' '), /Pictures and sound are judged differently/);
    assert.match(answer.warnings.join(' '), /contradict each other/);
    assert.ok(answer.media.audio !== undefined && answer.media.width === 64);
    assertAddsUp(answer);
  });

  test('give no verdict where they contradict each other and have to agree', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, mismatched, { models: 'av-careful' }));
    assert.deepEqual([answer.verdict, answer.score], ['INCONCLUSIVE', null]);
    assert.deepEqual(answer.inconclusive_reasons, ['models_disagree']);
    assert.ok((answer.fusion?.score ?? 0) > 0.9);
  });

  test('say who gave no score and why, and what stands in for it', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, silent, { model: 'av-logistic' }));
    assert.deepEqual(
      answer.missing_models?.map(({ name, status, reason }) => [name, status, reason]),
      [['voice', 'inconclusive', 'no_audio_track']],
    );
    assert.deepEqual(
      answer.models.map(({ name, status }) => [name, status]),
      [
        ['frames', 'ok'],
        ['voice', 'inconclusive'],
      ],
    );
    assert.deepEqual(answer.fusion?.contributions[1], {
      model: 'voice',
      logit: null,
      weight: 0,
      contribution: 0.75,
    });
    assert.equal('av_mismatch' in answer.signals, false);
    assertAddsUp(answer);

    const everything = await answerOf(detectionAnswer, detect(server, white, { model: 'everything' }));
    assert.deepEqual(
      everything.missing_models?.map(({ name, status, reason }) => [name, status, reason]),
      [
        ['frames', 'missing', 'wrong_modality'],
        ['voice', 'missing', 'wrong_modality'],
      ],
    );
    assert.deepEqual([everything.verdict, everything.models.length], ['DEEPFAKE', 1]);
  });

  test('give no verdict where too few of them do', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, silent, { model: 'av-both' }));
    assert.deepEqual([answer.verdict, answer.score], ['INCONCLUSIVE', null]);
    assert.deepEqual(answer.inconclusive_reasons, ['too_few_models']);
    assert.match(answer.explanations[0] ?? '', /^1 of 2 models gave a score, and at least 2 have to/);
  });

  test('are known one by one: the fusion is made of what is known', async () => {
    const media = await flatImage({ width: 301, height: 300, level: 200, format: 'png' });
    const alone = await detect(server, media, { model: 'picture' });
    assert.equal(alone.headers.get('x-cache'), 'MISS');
    const first = await detect(server, media, { models: 'picture,second' });
    assert.equal(first.headers.get('x-cache'), 'MISS');
    const again = await detect(server, media, { model: 'pictures' });
    assert.equal(again.headers.get('x-cache'), 'HIT');
    const answer = await answerOf(detectionAnswer, again);
    assert.deepEqual([answer.cache.hit, answer.fusion?.method], [true, 'weighted']);
    const { score } = (await answerOf(detectionAnswer, alone)).models[0] ?? {};
    assert.equal(answer.models[0]?.score, score);
  });

  test('that read the same frames read the file once, and say what each says alone', async () => {
    const fresh = { 'cache-control': 'no-cache' };
    const programs = () => metric(server, /deepfake_ffmpeg_exit_total\{reason="ok"\} (\d+)/);
    const before = await programs();
    await answerOf(detectionAnswer, detect(server, mismatched, { model: 'frames' }, fresh));
    const forOne = (await programs()) - before;
    assert.ok(forOne > 0);
    const together = await answerOf(
      detectionAnswer,
      detect(server, mismatched, { models: 'frames,highest' }, fresh),
    );
    assert.equal((await programs()) - before, 2 * forOne);
    for (const { name, score } of together.models) {
      const alone = await answerOf(detectionAnswer, detect(server, mismatched, { model: name }, fresh));
      assert.equal(score, alone.score);
    }
  });

  test('of many requests at the same time wait for each other without end', async () => {
    const media = await clip({ source: 'testsrc2=size=64x48:rate=10:duration=3', extension: 'mp4', options });
    const lists = ['frames,highest', 'highest,frames', 'highest,voice', 'frames', 'all', 'av-logistic'];
    const answers = await Promise.all(
      lists.map((models) => answerOf(detectionAnswer, detect(server, media, { models }))),
    );
    const scores = new Map<string, Set<number | null>>();
    for (const { name, score } of answers.flatMap(({ models }) => models))
      scores.set(name, (scores.get(name) ?? new Set()).add(score));
    assert.deepEqual([...scores.keys()].sort(), ['frames', 'highest', 'voice']);
    for (const [name, seen] of scores) assert.equal(seen.size, 1, name);
  });

  test('are counted one by one and together', async () => {
    const line = /deepfake_fusion_total\{ensemble="pictures",verdict="AUTHENTIC"\} (\d+)/;
    const ofModel = /deepfake_verdict_total\{model="second",version="1\.2\.3",verdict="AUTHENTIC"\} (\d+)/;
    const before = [await metric(server, line), await metric(server, ofModel)].map((count) => count || 0);
    await answerOf(detectionAnswer, detect(server, black, { model: 'pictures' }));
    assert.deepEqual(
      [await metric(server, line), await metric(server, ofModel)],
      before.map((count) => count + 1),
    );
  });

  test('answer under the name of their ensemble wherever a model does', async () => {
    const analysis = await answerOf(
      analysisAnswer,
      send(server, '/analyze', form(['media', mismatched], ['model', 'av-logistic'])),
    );
    assert.deepEqual([analysis.model_used, analysis.data.prediction], ['av-logistic', 'FAKE']);
    assert.equal(analysis.fusion?.contributions.length, 2);
    assert.ok('av_mismatch' in analysis.data.signals);
    const prediction = await answerOf(
      predictionAnswer,
      send(server, '/predict', form(['file', white], ['model', 'pictures'])),
    );
    assert.deepEqual([prediction.model, prediction.prediction], ['pictures', 'ai_generated']);
    const protocol = await send(server, '/v2/models/pictures/infer', {
      inputs: [{ name: 'media', datatype: 'BYTES', shape: [1], data: [white.toString('base64')] }],
      outputs: [{ name: 'verdict' }],
    });
    const { outputs } = (await protocol.json()) as { outputs: readonly { data: unknown }[] };
    assert.deepEqual(outputs[0]?.data, ['DEEPFAKE']);
    const picture = send(server, '/explain', form(['file', white], ['model', 'pictures']));
    assert.equal(await errorOf(422, picture), 'no_heatmap');
    const plain = await answerOf(analysisAnswer, send(server, '/analyze', form(['media', white])));
    assert.equal('fusion' in plain || 'missing_models' in plain, false);
  });

  test('are listed beside the models', async () => {
    const { ensembles: listed } = await answerOf(modelsAnswer, send(server, '/models'));
    assert.deepEqual(
      listed.map(({ name, ready }) => [name, ready]),
      ensembles.map(({ name }) => [name, true]),
    );
    assert.deepEqual(listed[0]?.models, [
      { name: 'frames', weight: 1, missing: 0, loaded: true },
      { name: 'voice', weight: 0.25, missing: 0.75, loaded: true },
    ]);
    assert.deepEqual((await answerOf(catalogueAnswer, send(server, '/v1/models'))).ensembles, listed);
    assert.deepEqual(await answerOf(ensembleInfo, send(server, '/v1/models/pictures')), listed[3]);
    const answer = await answerOf(detectionAnswer, detect(server, mismatched, { model: 'av-logistic' }));
    assert.equal(answer.model_version, listed[0]?.version);
    const { ensembles: ready } = await answerOf(readinessAnswer, send(server, '/health/ready'));
    assert.deepEqual(ready[0], { name: 'av-logistic', ready: true, missing: [] });
  });

  test('tell of their steps and ends by name', async () => {
    const response = await send(
      server,
      '/analyze',
      form(['media', mismatched], ['model', 'av-logistic'], ['mediaId', 'm1']),
      { accept: 'text/event-stream', 'cache-control': 'no-cache' },
    );
    const events = (await response.text())
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => JSON.parse(line.slice(6)));
    const told = events.filter(({ event }) => event !== undefined);
    const namesOf = (kind: string) =>
      new Set(told.filter(({ event }) => event === kind).map(({ data }) => data.model_name));
    assert.deepEqual(namesOf('FRAME_ANALYSIS_PROGRESS'), new Set(['frames']));
    assert.deepEqual(namesOf('AUDIO_EXTRACTION_START'), new Set(['voice']));
    assert.deepEqual(namesOf('MODEL_ANALYSIS_COMPLETE'), new Set(['frames', 'voice']));
    const { details } = told.find(({ data }) => data.model_name === 'voice' && data.details.verdict).data;
    assert.equal(details.verdict, 'AUTHENTIC');
  });

  test('go on without one that was unloaded, and an ensemble keeps its name to itself', async () => {
    await withServer(async (own) => {
      await send(own, '/v2/repository/models/voice/unload', {});
      const answer = await answerOf(detectionAnswer, detect(own, mismatched, { model: 'av-logistic' }));
      assert.deepEqual(
        answer.missing_models?.map(({ name, status, reason }) => [name, status, reason]),
        [['voice', 'missing', 'not_active']],
      );
      assert.equal('av_mismatch' in answer.signals, false);
      const { ensembles: ready } = await answerOf(readinessAnswer, send(own, '/health/ready'));
      assert.deepEqual(ready[1], { name: 'av-both', ready: false, missing: ['voice'] });
    });
  });

  test('go on without one that fails, with its error', async () => {
    const env = { MAX_VIDEO_PIXELS: '4096', MAX_VIDEO_SECONDS: '100' };
    const large = await clip({
      source: 'color=white:size=128x64:rate=10:duration=4',
      extension: 'mp4',
      options,
      soundSeconds: 4,
    });
    await withServer(async (own) => {
      const answer = await answerOf(detectionAnswer, detect(own, large, { model: 'av-logistic' }));
      assert.deepEqual(
        answer.missing_models?.map(({ name, status, reason }) => [name, status, reason]),
        [['frames', 'failed', 'video_too_large']],
      );
      assert.deepEqual(
        answer.models.map(({ name }) => name),
        ['voice'],
      );
      assert.equal(await errorOf(413, detect(own, large, { models: 'frames,highest' })), 'video_too_large');
    }, env);
  });

  test('of which one sees nothing to judge', async () => {
    const answer = await answerOf(detectionAnswer, detect(server, small, { model: 'pictures' }));
    assert.deepEqual(
      answer.missing_models?.map(({ name, reason }) => [name, reason]),
      [['picture', 'low_resolution']],
    );
    assert.equal(answer.verdict, 'DEEPFAKE');
  });
});

describe('ensembles of models that are not there', () => {
  const rows = [
    {
      name: 'a stranger',
      models: ['picture', 'nobody'],
      message: /"other" has "nobody", which is no active model/,
    },
    {
      name: 'the name of a package',
      called: 'second',
      models: ['picture', 'frames'],
      message: /"second" is called as the model "second"/,
    },
  ];
  for (const { name, called = 'other', models, message } of rows) {
    test(`keep the server from starting: ${name}`, async () => {
      const FUSION = JSON.stringify([{ name: called, models, method: 'mean', thresholds }]);
      await assert.rejects(
        withServer(async () => assert.fail(), { FUSION }),
        message,
      );
    });
  }
  test('are refused under a name that a package gets later', async () => {
    await inTemporaryFolder(async (folder) => {
      await writeImagePackage(join(folder, 'picture'));
      await writeImagePackage(join(folder, 'second'));
      const FUSION = JSON.stringify([
        { name: 'both', models: ['picture', 'second'], method: 'mean', thresholds },
      ]);
      const env = { PORT: '0', API_KEY: testKey, MODELS_DIR: folder, FUSION, ENGINE_WORKERS: '1' };
      const server = await startServer(readConfig(env), createLogger('silent'));
      try {
        await server.ready;
        await writeImagePackage(join(folder, 'Both'));
        await writeFile(join(folder, 'unrelated'), '');
        const response = await send(server, '/v2/repository/models/Both/load', {});
        assert.equal(response.status, 422);
        assert.match(await response.text(), /an ensemble of FUSION is called/);
      } finally {
        await server.stop();
      }
    });
  });
});
