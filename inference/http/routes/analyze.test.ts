import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { flatImage, noiseImage, tone } from '../../testing/media.ts';
import { answerOf, errorOf, form, send, withTestServer } from '../../testing/server.ts';
import { analysisAnswer, analysisBatchAnswer } from '../views/analysis.ts';
import { detectionAnswer } from '../views/detection.ts';

const white = await flatImage({ width: 300, height: 280, level: 255, format: 'jpeg' });
const narrow = await flatImage({ width: 400, height: 100, level: 0, format: 'png' });
const unknown = await noiseImage(300, 280, 'png');
const knownWithoutNoise = {
  source: 'input',
  features: ['log_noise'],
  mean: [-2],
  precision: { diagonal: [4] },
  threshold: 0.99,
  abstain: true,
};
const sound = tone({ seconds: 3, shape: 'square' });

describe('/analyze', () => {
  const kinds = { 'an image': white, 'a sound': sound, 'an image that cannot be judged': narrow };
  test('answers exactly as its schema says', () =>
    withTestServer(async (server) => {
      for (const [name, media] of Object.entries(kinds)) {
        const { data } = await answerOf(analysisAnswer, send(server, '/analyze', form(['media', media])));
        assert.equal(data.prediction === null, name.endsWith('judged'), name);
        assert.equal(data.heatmap_scores !== undefined, name === 'an image', name);
        assert.equal('visualization_path' in data, false, name);
      }
    }));
});

describe('slightly changed copies', () => {
  test('are judged where a request asks for them, and are a result of their own', () =>
    withTestServer(async (server) => {
      const plain = form(['media', white], ['perturb', '']);
      const { data } = await answerOf(analysisAnswer, send(server, '/analyze', plain));
      assert.equal(data.signals['perturbation_runs'], undefined);
      const asked = form(['media', white], ['perturb', 'true']);
      const answer = await answerOf(analysisAnswer, send(server, '/analyze', asked));
      assert.equal(answer.cache.hit, false);
      assert.equal(answer.data.signals['perturbation_runs'], 4);
      assert.deepEqual(answer.data.explanations.at(-1)?.code, 'stable_verdict');
      const detection = await answerOf(detectionAnswer, send(server, '/v1/detections', asked));
      assert.equal(detection.cache.hit, true);
      assert.equal(detection.signals['perturbation_flips'], 0);
    }));

  test('are of images only, and an answer for sound says so', () =>
    withTestServer(async (server) => {
      const asked = form(['media', sound], ['perturb', 'true']);
      const { warnings } = await answerOf(detectionAnswer, send(server, '/v1/detections', asked));
      assert.match(warnings.join(' '), /Only images are changed/);
    }));

  test('are refused where the server makes none', () =>
    withTestServer(
      async (server) => {
        const asked = form(['media', white], ['perturb', 'true']);
        assert.equal(await errorOf(400, send(server, '/analyze', asked)), 'invalid_request');
        const unasked = form(['media', white], ['perturb', 'false']);
        await answerOf(analysisAnswer, send(server, '/analyze', unasked));
      },
      { PERTURBATION_RUNS: '0' },
    ));
});

describe('media that a model does not know', () => {
  test('gets no score in any words', () =>
    withTestServer(
      async (server) => {
        const { data } = await answerOf(analysisAnswer, send(server, '/analyze', form(['media', unknown])));
        assert.equal(data.verdict, 'INCONCLUSIVE');
        assert.equal(data.prediction, null);
        assert.equal(data.score, null);
        assert.deepEqual(data.inconclusive_reasons, ['out_of_distribution']);
        assert.equal(data.heatmap_scores, undefined);
        assert.match(data.note, /No verdict is given/);
        const detection = await answerOf(
          detectionAnswer,
          send(server, '/v1/detections', form(['media', unknown])),
        );
        assert.equal(detection.verdict, 'INCONCLUSIVE');
        const predicted = await send(server, '/infer', form(['file', unknown]));
        assert.equal(JSON.parse(await predicted.text()).fake_prob, null);
      },
      {},
      { ood: knownWithoutNoise },
    ));
});

describe('a visualization', () => {
  test('is a PNG of the size of the image, can be fetched once, and needs the key', () =>
    withTestServer(async (server) => {
      const asked = form(['media', white], ['visualization', 'true']);
      const { data } = await answerOf(analysisAnswer, send(server, '/analyze', asked));
      assert.equal(data.visualization_path, data.visualization_url);
      const path = new URL(data.visualization_path ?? '').pathname;
      assert.match(path, /^\/analyze\/visualization\/[0-9a-f-]{36}\.png$/);
      assert.equal(await errorOf(401, fetch(server.url + path)), 'unauthorized');
      const first = await send(server, path);
      assert.equal(first.headers.get('content-type'), 'image/png');
      const { width, height, format } = await sharp(Buffer.from(await first.arrayBuffer())).metadata();
      assert.deepEqual({ width, height, format }, { width: 300, height: 280, format: 'png' });
      assert.equal(await errorOf(404, send(server, path)), 'unknown_visualization');
    }));

  test('is null where there is no heat map', () =>
    withTestServer(async (server) => {
      for (const media of [sound, narrow]) {
        const asked = form(['media', media], ['visualization', 'true']);
        const { data } = await answerOf(analysisAnswer, send(server, '/analyze', asked));
        assert.equal(data.visualization_path, null);
        assert.equal(data.visualization?.spectrogram_data.length, media === sound ? 32 : undefined);
      }
    }));

  test('is nothing else of the disk', () =>
    withTestServer(async (server) => {
      for (const name of ['..%2f..%2fetc%2fpasswd', '%00', 'x.png', '__proto__']) {
        const code = await errorOf(404, send(server, `/analyze/visualization/${name}`));
        assert.equal(code, 'unknown_visualization', name);
      }
    }));
});

describe('/analyze/batch', () => {
  test('answers every file by itself, in order', () =>
    withTestServer(async (server) => {
      const files = form(
        ['media', white, 'white.jpg'],
        ['media', Buffer.from('no media at all'), 'text.png'],
        ['media', sound, 'sound.wav'],
        ['media', Buffer.alloc(0), 'empty.png'],
      );
      const answer = await answerOf(analysisBatchAnswer, send(server, '/analyze/batch', files));
      const told = answer.results.map((item) => [
        item.filename,
        item.success ? item.data.prediction : item.error,
      ]);
      assert.deepEqual(told, [
        ['white.jpg', 'FAKE'],
        ['text.png', 'unsupported_media'],
        ['sound.wav', 'FAKE'],
        ['empty.png', 'empty_media'],
      ]);
      assert.deepEqual([answer.total, answer.successful, answer.failed], [4, 2, 2]);
    }));

  test('takes more files than the queue has places', () =>
    withTestServer(
      async (server) => {
        const files = form(...Array.from({ length: 12 }, () => ['media', white] as const));
        const answer = await answerOf(analysisBatchAnswer, send(server, '/analyze/batch', files));
        assert.equal(answer.successful, 12);
      },
      { MAX_QUEUE: '1' },
    ));

  test('takes twenty files at most', () =>
    withTestServer(async (server) => {
      const files = form(...Array.from({ length: 21 }, () => ['media', narrow] as const));
      assert.equal(await errorOf(400, send(server, '/analyze/batch', files)), 'too_many_files');
    }));
});
