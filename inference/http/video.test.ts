import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { clip, inTemporaryFolder } from '../testing/media.ts';
import { writeAudioPackage, writeImagePackage, writeVideoPackage } from '../testing/packages.ts';

// biome-ignore lint/suspicious/noExplicitAny: the tests look at JSON of many shapes
type Body = any;

const half = "color=black:size=64x48:rate=10:duration=4,drawbox=color=white:t=fill:enable='gte(t,2)'";
const options = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
const halfFake = await clip({ source: half, extension: 'mp4', options, soundSeconds: 4 });
const silent = await clip({ source: half, extension: 'webm' });
const short = await clip({
  source: 'color=white:size=64x48:rate=10:duration=0.2',
  extension: 'mp4',
  options,
});

/** Starts a server with a model of frames, one that takes the highest frame, a slow one, one of sound and one of pictures. */
async function withServer(
  env: Readonly<Record<string, string>>,
  action: (server: RunningServer) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await writeVideoPackage(join(folder, 'frames'));
    await writeVideoPackage(join(folder, 'highest'), { pipeline: { aggregation: 'max' } });
    await writeVideoPackage(join(folder, 'slow'), { delays: 20_000, pipeline: { minFrames: 1 } });
    await writeAudioPackage(join(folder, 'voice'));
    await writeImagePackage(join(folder, 'picture'));
    const config = readConfig({ PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env });
    const server = await startServer(config, createLogger('silent'));
    try {
      assert.ok(await server.ready);
      await action(server);
    } finally {
      await server.stop();
    }
  });
}

async function analyze(
  server: RunningServer,
  media: Uint8Array,
  model?: string,
): Promise<{ readonly status: number; readonly body: Body }> {
  const form = new FormData();
  form.set('media', new Blob([new Uint8Array(media)]), 'clip');
  if (model !== undefined) form.set('model', model);
  const response = await fetch(`${server.url}/analyze`, { method: 'POST', body: form });
  return { status: response.status, body: await response.json() };
}

const models = 'frames,highest,voice';

describe('a video', () => {
  test('is judged by its frames, or by its sound where that is asked for', async () => {
    await withServer({ ACTIVE_MODELS: models }, async (server) => {
      const { status, body } = await analyze(server, halfFake);
      assert.equal(status, 200, JSON.stringify(body));
      const { data } = body;
      assert.equal(body.model_used, 'frames');
      assert.equal(data.media_type, 'video');
      assert.deepEqual([data.verdict, data.frame_count, data.frames_analyzed], ['SUSPICIOUS', 40, 8]);
      assert.ok(Math.abs(data.score - 0.5) < 0.02, `${data.score}`);
      const predictions = data.frame_predictions.map(({ prediction }: { prediction: string }) => prediction);
      assert.deepEqual(predictions, [...Array(4).fill('REAL'), ...Array(4).fill('FAKE')]);
      assert.deepEqual(
        data.frames.map(({ index, t_s }: { index: number; t_s: number }) => [index, t_s]),
        [0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75].map((moment, index) => [index, moment]),
      );
      assert.deepEqual(
        data.segments.map(({ start_s, end_s }: { start_s: number; end_s: number }) => [start_s, end_s]),
        [
          [0.25, 2.25],
          [2.25, 4],
        ],
      );
      assert.deepEqual(data.dimensions, { width: 64, height: 48 });
      assert.equal(data.properties.codec, 'h264');
      assert.equal(data.metrics.suspicious_frames_count, 4);
      assert.equal(data.metrics.rolling_average_scores.length, 8);

      const highest = await analyze(server, halfFake, 'highest');
      assert.equal(highest.body.data.verdict, 'DEEPFAKE');

      const sound = await analyze(server, halfFake, 'voice');
      assert.equal(sound.status, 200, JSON.stringify(sound.body));
      assert.equal(sound.body.data.media_type, 'video');
      assert.equal(sound.body.data.verdict, 'AUTHENTIC');
      assert.ok(sound.body.data.signals.windows_analysed >= 3);
    });
  });

  test('that cannot be judged gets no verdict, with the reason', async () => {
    await withServer({ ACTIVE_MODELS: models }, async (server) => {
      const rows = [
        { media: short, reason: 'too_short' },
        { media: silent, model: 'voice', reason: 'no_audio_track' },
        { media: await clip({ source: 'anullsrc=duration=1', extension: 'mkv' }), reason: 'no_frames' },
      ];
      for (const { media, model, reason } of rows) {
        const { status, body } = await analyze(server, media, model);
        assert.equal(status, 200, JSON.stringify(body));
        assert.deepEqual([body.data.verdict, body.data.inconclusive_reasons], ['INCONCLUSIVE', [reason]]);
        assert.equal(body.data.explanations[0].code, reason);
      }
    });
  });

  test('is judged by its sound where no model judges pictures', async () => {
    await withServer({ ACTIVE_MODELS: 'voice' }, async (server) => {
      const { body } = await analyze(server, halfFake);
      assert.deepEqual([body.model_used, body.data.verdict], ['voice', 'AUTHENTIC']);
    });
  });

  test('that no model judges is refused', async () => {
    await withServer({ ACTIVE_MODELS: 'picture' }, async (server) => {
      const { status, body } = await analyze(server, halfFake);
      assert.deepEqual([status, body.error], [422, 'no_model_for_media']);
      assert.match(body.message, /no active model analyses video\/mp4/);
    });
  });

  test('beyond the limits, or damaged, is refused', async () => {
    const limits = { MAX_VIDEO_SECONDS: '3', MAX_VIDEO_PIXELS: '4096' };
    await withServer({ ACTIVE_MODELS: models, ...limits }, async (server) => {
      const large = await clip({ source: 'color=size=128x64:rate=10:duration=1', extension: 'mp4', options });
      const rows = [
        { media: halfFake, status: 413, error: 'media_too_long' },
        { media: large, status: 413, error: 'video_too_large' },
        { media: large.subarray(0, large.length / 2), status: 422, error: 'corrupt_media' },
      ];
      for (const { media, status, error } of rows) {
        const answer = await analyze(server, media);
        assert.deepEqual([answer.status, answer.body.error], [status, error], answer.body.message);
      }
    });
  });

  test('that takes longer than the limit is given up', async () => {
    await withServer({ ACTIVE_MODELS: 'slow', REQUEST_TIMEOUT_MS: '150' }, async (server) => {
      const { status, body } = await analyze(server, halfFake);
      assert.deepEqual([status, body.error], [504, 'deadline_exceeded']);
      assert.equal((await fetch(`${server.url}/health/live`)).status, 200);
    });
  });
});
