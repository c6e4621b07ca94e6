import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { flatImage, tone } from '../../testing/media.ts';
import { answerOf, errorOf, form, send, withTestServer } from '../../testing/server.ts';
import { detectionAnswer } from '../views/detection.ts';
import {
  comparisonAnswer,
  explainedPredictionAnswer,
  predictionAnswer,
  predictionBatchAnswer,
} from '../views/predictions.ts';
import { probabilitiesAnswer, votesAnswer } from '../views/probabilities.ts';

const white = await flatImage({ width: 300, height: 280, level: 255, format: 'jpeg' });
const black = await flatImage({ width: 300, height: 280, level: 0, format: 'png' });
const narrow = await flatImage({ width: 400, height: 100, level: 0, format: 'png' });
const sound = tone({ seconds: 3, shape: 'square' });
const text = Buffer.from('no media at all');

/** Serves the white image, and 4 KiB at `/large`. */
async function withMediaServer<T>(action: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(({ url }, response) =>
    response.setHeader('content-type', 'image/jpeg').end(url === '/large' ? Buffer.alloc(4096) : white),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await action(`http://127.0.0.1:${(server.address() as AddressInfo).port}/white.jpg`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('/predict with a form', () => {
  test('says real or ai_generated', () =>
    withTestServer(async (server) => {
      for (const path of ['/predict', '/v1/predict']) {
        const fake = await answerOf(predictionAnswer, send(server, path, form(['file', white])));
        assert.deepEqual(
          [fake.prediction, fake.probability, fake.confidence],
          ['ai_generated', 0.982, 'high'],
        );
        const real = await answerOf(predictionAnswer, send(server, path, form(['file', black])));
        assert.deepEqual([real.prediction, real.probability, real.model_version], ['real', 0.018, '1.2.3']);
      }
    }));

  test('says nothing of what cannot be judged', () =>
    withTestServer(async (server) => {
      const answer = await answerOf(predictionAnswer, send(server, '/predict', form(['file', narrow])));
      assert.deepEqual(
        [answer.prediction, answer.probability, answer.confidence, answer.inconclusive_reasons],
        [null, null, 'low', ['low_resolution']],
      );
    }));

  test('calls another type a bad request', () =>
    withTestServer(async (server) => {
      assert.equal(await errorOf(400, send(server, '/predict', form(['file', text]))), 'unsupported_media');
    }));
});

describe('/infer', () => {
  test('gives both probabilities, or null twice', () =>
    withTestServer(async (server) => {
      const judged = await answerOf(probabilitiesAnswer, send(server, '/infer', form(['file', white])));
      assert.equal(judged.fake_prob, 0.982014);
      assert.equal(judged.real_prob, 0.017986);
      const unjudged = await answerOf(probabilitiesAnswer, send(server, '/infer', form(['file', narrow])));
      assert.deepEqual(
        [unjudged.fake_prob, unjudged.real_prob, unjudged.inconclusive_reasons],
        [null, null, ['low_resolution']],
      );
    }));
});

describe('/predict with JSON', () => {
  test('takes base64 and answers with a vote', () =>
    withTestServer(async (server) => {
      const body = { image: white.toString('base64'), threshold: 0.5, ensemble_method: 'voting' };
      const answer = await answerOf(votesAnswer, send(server, '/predict', body));
      assert.deepEqual(
        [answer.verdict, answer.fake_votes, answer.real_votes, answer.total_votes],
        ['fake', 1, 0, 1],
      );
      assert.equal(answer.model_results['picture']?.prediction, 1);
      const unsure = await answerOf(
        votesAnswer,
        send(server, '/predict', { image: narrow.toString('base64') }),
      );
      assert.deepEqual([unsure.verdict, unsure.total_votes, unsure.fake_prob], ['undetermined', 0, null]);
    }));

  test('takes the model by name', () =>
    withTestServer(async (server) => {
      const body = { image: white.toString('base64'), models: ['second'] };
      assert.equal((await answerOf(votesAnswer, send(server, '/predict', body))).model, 'second');
    }));

  test('fetches a URL of a host that is allowed', () =>
    withMediaServer((url) =>
      withTestServer(
        async (server) => {
          for (const member of ['image_url', 'video_url']) {
            const answer = await answerOf(probabilitiesAnswer, send(server, '/predict', { [member]: url }));
            assert.equal(answer.fake_prob, 0.982014, member);
          }
        },
        { FETCH_ALLOW_HOSTS: '127.0.0.1' },
      ),
    ));

  test('does not fetch from inside', () =>
    withMediaServer((url) =>
      withTestServer(async (server) => {
        assert.equal(await errorOf(400, send(server, '/predict', { image_url: url })), 'url_refused');
      }),
    ));

  test('limits what it fetches', () =>
    withMediaServer((url) =>
      withTestServer(
        async (server) => {
          const large = { image_url: new URL('/large', url).href };
          assert.equal(await errorOf(413, send(server, '/predict', large)), 'upload_too_large');
        },
        { FETCH_ALLOW_PRIVATE: 'true', MAX_UPLOAD_BYTES: '1024' },
      ),
    ));

  const bad = {
    'no member that names media': {},
    'text that is not base64': { image: 'no base64!' },
    nothing: { image: '' },
    'a list': [],
    'a relative URL': { image_url: '/etc/passwd' },
  };
  test('refuses what holds no media', () =>
    withTestServer(async (server) => {
      for (const [name, body] of Object.entries(bad))
        assert.equal(await errorOf(400, send(server, '/predict', body)), 'invalid_request', name);
      const headers = { 'x-api-key': 'right-key', 'content-type': 'application/json' };
      const broken = fetch(`${server.url}/predict`, { method: 'POST', body: '{"image"', headers });
      assert.equal(await errorOf(400, broken), 'malformed_body');
    }));
});

describe('/predict/batch', () => {
  test('answers every file by itself, in order', () =>
    withTestServer(async (server) => {
      const files = form(['files', white, 'a.jpg'], ['files', text, 'b.png'], ['files', narrow, 'c.png']);
      const answer = await answerOf(predictionBatchAnswer, send(server, '/predict/batch', files));
      assert.deepEqual(
        [answer.total, answer.successful, answer.failed, answer.model_version],
        [3, 2, 1, '1.2.3'],
      );
      const [a, b, c] = answer.results;
      assert.deepEqual([a?.filename, a?.prediction, a?.error], ['a.jpg', 'ai_generated', null]);
      assert.deepEqual([b?.filename, b?.prediction], ['b.png', null]);
      assert.match(b?.error ?? '', /no known media type/);
      assert.deepEqual([c?.prediction, c?.error, c?.inconclusive_reasons], [null, null, ['low_resolution']]);
    }));
});

describe('/predict/compare', () => {
  test('says whether two models agree', () =>
    withTestServer(async (server) => {
      const compared = (media: Uint8Array, shadow: string) =>
        send(server, `/v1/predict/compare?shadow=${shadow}`, form(['file', media]));
      const apart = await answerOf(comparisonAnswer, compared(white, 'second'));
      assert.deepEqual([apart.agreement, apart.difference], [false, 0]);
      const alike = await answerOf(comparisonAnswer, compared(black, 'second'));
      assert.equal(alike.agreement, true);
      const unknown = await answerOf(comparisonAnswer, compared(narrow, 'second'));
      assert.deepEqual([unknown.agreement, unknown.difference], [null, null]);
      assert.equal(await errorOf(422, compared(white, 'nobody')), 'unknown_model');
      assert.equal(await errorOf(400, compared(white, '')), 'invalid_request');
    }));
});

describe('/explain', () => {
  test('draws the heat map over the image and tells the prediction in headers', () =>
    withTestServer(async (server) => {
      const response = await send(server, '/explain?alpha=0.3', form(['file', white]));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'image/png');
      assert.equal(response.headers.get('x-prediction-probability'), '0.982');
      assert.equal(response.headers.get('x-prediction-class'), 'ai_generated');
      const { width, format } = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
      assert.deepEqual([width, format], [300, 'png']);
    }));

  test('is a member of JSON at /predict/explain', () =>
    withTestServer(async (server) => {
      const answer = await answerOf(
        explainedPredictionAnswer,
        send(server, '/predict/explain', form(['file', white])),
      );
      const { format } = await sharp(Buffer.from(answer.heatmap_base64, 'base64')).metadata();
      assert.equal(format, 'png');
    }));

  const unexplained = { 'a sound': sound, 'an image that cannot be judged': narrow };
  test('says that there is no heat map', () =>
    withTestServer(async (server) => {
      for (const [name, media] of Object.entries(unexplained))
        assert.equal(await errorOf(422, send(server, '/explain', form(['file', media]))), 'no_heatmap', name);
    }));

  test('refuses an alpha outside of 0..1', () =>
    withTestServer(async (server) => {
      assert.equal(
        await errorOf(400, send(server, '/explain?alpha=2', form(['file', white]))),
        'invalid_request',
      );
    }));
});

describe('/v1/detections', () => {
  const kinds = { image: white, audio: sound };
  test('answers files', () =>
    withTestServer(async (server) => {
      for (const [kind, media] of Object.entries(kinds)) {
        const answer = await answerOf(
          detectionAnswer,
          send(server, '/v1/detections', form(['media', media])),
        );
        assert.deepEqual(
          [answer.media.type, answer.verdict, answer.confidence_level],
          [kind, 'DEEPFAKE', 'high'],
        );
        assert.equal(answer.models.length, 1);
        const measured = ['pitch', 'energy', 'spectral'].filter((name) => name in answer.signals);
        assert.equal(measured.length, kind === 'audio' ? 3 : 0);
      }
    }));

  test('answers URLs', () =>
    withMediaServer((url) =>
      withTestServer(
        async (server) => {
          const answer = await answerOf(detectionAnswer, send(server, '/v1/detections', { url }));
          assert.equal(answer.verdict, 'DEEPFAKE');
        },
        { FETCH_ALLOW_PRIVATE: 'true' },
      ),
    ));

  test('has no score for what cannot be judged', () =>
    withTestServer(async (server) => {
      const answer = await answerOf(detectionAnswer, send(server, '/v1/detections', form(['media', narrow])));
      assert.deepEqual([answer.verdict, answer.score, answer.confidence], ['INCONCLUSIVE', null, 0]);
    }));
});
