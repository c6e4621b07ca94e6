import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from '../config/config.ts';
import type { NamedPackage } from '../models/package.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { flatImage, inTemporaryFolder } from '../testing/media.ts';
import { writeImagePackage } from '../testing/packages.ts';
import { createLogger } from './logger.ts';
import { Metrics } from './metrics.ts';
import { stagesOf, type TimedDetection } from './stages.ts';

const idle = { queued: 0, oldestQueuedMs: 0 };

function allMetrics(): Metrics {
  return new Metrics({
    readQueue: () => ({ interactive: idle, batch: { queued: 2, oldestQueuedMs: 1500 } }),
    redisIsUp: () => true,
    readModels: () => [],
    compat: 'aidetect',
  });
}

async function analyze(server: RunningServer, media: Uint8Array): Promise<number> {
  const form = new FormData();
  form.set('media', new Blob([new Uint8Array(media)]), 'f');
  const response = await fetch(`${server.url}/analyze`, { method: 'POST', body: form });
  await response.arrayBuffer();
  return response.status;
}

/** What a server with one picture model says of itself after a white picture, a gray one, and something that is no media. */
async function scrapedAfterUse(env: Readonly<Record<string, string>>): Promise<string> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    const config = readConfig({ PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env });
    const server = await startServer(config, createLogger('silent'));
    try {
      await server.ready;
      const picture = { width: 256, height: 256, format: 'png' } as const;
      assert.equal(await analyze(server, await flatImage({ ...picture, level: 255 })), 200);
      assert.equal(await analyze(server, await flatImage({ ...picture, level: 128 })), 200);
      assert.equal(await analyze(server, Buffer.from('no media')), 415);
      assert.equal(await analyze(server, Buffer.alloc(0)), 400);
      for (const path of ['/no/such/route', '/nor/this'])
        assert.equal((await fetch(server.url + path)).status, 404);
      return await (await fetch(`${server.url}/metrics`)).text();
    } finally {
      await server.stop();
    }
  });
}

describe('metrics', () => {
  test('pass the linter of Prometheus', async () => {
    const text = await allMetrics().registry.metrics();
    const own = text.split('\n').filter((line) => /^(# (HELP|TYPE) )?(deepfake|aidetect)_/.test(line));
    const { stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
      input: `${own.join('\n')}\n`,
      encoding: 'utf8',
    });
    if (error) throw new Error('promtool does not start: install the package prometheus', { cause: error });
    assert.equal(stdout + stderr, '');
  });

  for (const [cache, lines] of [
    ['bypass', 1],
    ['miss', 1],
    ['hit', 0],
    ['coalesced', 0],
  ] as const) {
    test(`${lines === 1 ? 'measure' : 'do not measure'} the drift of scores with a cache ${cache}`, async () => {
      const manifest = { version: '1.2.3', thresholds: { low: 0.3, high: 0.7 } };
      const served = { name: 'picture', digest: 'sha256:1', precision: 'fp32', manifest };
      const model = served as unknown as NamedPackage;
      const metrics = new Metrics({ readQueue: () => ({}), readModels: () => [model] });
      const analysis = { score: 0.5, verdict: 'SUSPICIOUS', timingsMs: {} } as const;
      for (let count = 0; count < 600; count += 1)
        metrics.countDetection({ model, analysis, cache, uploadMs: 0, queueMs: 0, totalMs: 0 });
      const text = await metrics.registry.metrics();
      assert.equal(
        text.match(/^deepfake_drift_score\{model="picture",version="1\.2\.3"\} /gm)?.length ?? 0,
        lines,
      );
    });
  }

  test('tell the queue by priority', async () => {
    const text = await allMetrics().registry.metrics();
    assert.match(text, /^deepfake_queue_depth\{priority="interactive"\} 0$/m);
    assert.match(text, /^deepfake_queue_depth\{priority="batch"\} 2$/m);
    assert.match(text, /^deepfake_queue_age_seconds\{priority="batch"\} 1.5$/m);
  });

  test('count what happened, under the names of an older detector too where that is wanted', async () => {
    const text = await scrapedAfterUse({ METRICS_COMPAT: 'aidetect' });
    const stages = ['upload', 'queue', 'decode', 'preprocess', 'infer', 'post', 'total'];
    const expected = [
      ...stages.map((stage) => `deepfake_stage_duration_seconds_count{stage="${stage}"} 2`),
      'deepfake_rejected_media_total{reason="unsupported_media"} 1',
      'deepfake_rejected_media_total{reason="empty_media"} 1',
      'deepfake_requests_total{route="unknown",code="404"} 2',
      'deepfake_inflight_requests 1',
      'aidetect_predictions_total{status="success",prediction="ai_generated",confidence="high"} 1',
      'aidetect_predictions_total{status="error",prediction="none",confidence="none"} 1',
      'aidetect_prediction_latency_seconds_count 2',
      'aidetect_prediction_probability_count 2',
      'aidetect_batch_size_count 3',
      'aidetect_image_validation_errors_total{error_type="unsupported_media"} 1',
      'aidetect_rate_limit_exceeded_total 0',
    ];
    for (const line of expected) assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`);
    assert.match(text, /^deepfake_model_load_seconds\{model="picture",version="1\.2\.3"\} 0\.\d+$/m);
  });

  test('have no names of an older detector otherwise', async () =>
    assert.doesNotMatch(await scrapedAfterUse({}), /aidetect/));
});

describe('the stages of a detection', () => {
  const timingsMs = { decode: 5, preprocess: 2, infer: 20 };
  const detection = { uploadMs: 10, queueMs: 1, totalMs: 40, analysis: { timingsMs } };
  const unasked = { upload: 10, queue: 1, ...timingsMs, post: 2 };
  const rows: { detection: TimedDetection; stages: Record<string, number> }[] = [
    { detection: { ...detection, cache: 'bypass' }, stages: unasked },
    { detection: { ...detection, cache: 'miss', lookUpMs: 2 }, stages: { ...unasked, cache: 2, post: 0 } },
    { detection: { ...detection, cache: 'coalesced', lookUpMs: 2 }, stages: { upload: 10, wait: 30 } },
    { detection: { ...detection, cache: 'hit', lookUpMs: 2 }, stages: { upload: 10, cache: 2, post: 28 } },
  ];
  for (const { detection: timed, stages } of rows)
    test(`add up to its total with a cache ${timed.cache}`, () => assert.deepEqual(stagesOf(timed), stages));

  test('have no negative rest', () => {
    assert.equal(stagesOf({ ...detection, cache: 'bypass', totalMs: 19 })['post'], 0);
  });
});
