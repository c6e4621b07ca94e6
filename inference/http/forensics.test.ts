import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { flatImage, noiseImage, tone } from '../testing/media.ts';
import { answerOf, form, send, withTestServer } from '../testing/server.ts';
import { analysisAnswer, analysisBatchAnswer } from './views/analysis.ts';
import { detectionAnswer } from './views/detection.ts';

const picture = await noiseImage(300, 280, 'jpeg');
const turned = await sharp(picture).withMetadata({ orientation: 6 }).jpeg().toBuffer();
const narrow = await flatImage({ width: 400, height: 100, level: 0, format: 'png' });
const sound = tone({ seconds: 3, shape: 'square' });
const on = { FORENSICS: 'on' };

describe('provenance and traces', () => {
  test('are not in answers of a server that does not look for them', () =>
    withTestServer(async (server) => {
      const { data } = await answerOf(analysisAnswer, send(server, '/analyze', form(['media', picture])));
      assert.deepEqual(['provenance' in data, 'forensics' in data], [false, false]);
    }));

  test('stand beside the score and do not change it', () =>
    withTestServer(async (server) => {
      const asked = form(['media', picture]);
      const { data } = await answerOf(analysisAnswer, send(server, '/analyze', asked));
      assert.deepEqual(data.provenance?.c2pa, { present: false, validation_state: 'not_checked' });
      assert.equal(data.provenance.exif?.present, false);
      assert.equal(data.forensics?.jpeg?.tables, 'standard');
      assert.ok((data.forensics.noise?.level ?? 0) > 5);
      const detection = await answerOf(detectionAnswer, send(server, '/v1/detections', asked));
      assert.equal(detection.cache.hit, true);
      assert.deepEqual(detection.forensics, data.forensics);
      const answer = await send(server, '/infer', form(['file', picture]));
      const predicted = (await answer.json()) as { fake_prob: number };
      assert.ok(Math.abs(predicted.fake_prob - (data.score ?? NaN)) < 1e-6);
    }, on));

  test('are told of pictures that lie on their side, of sound and of what cannot be judged', () =>
    withTestServer(async (server) => {
      const files = form(['media', turned, 'a'], ['media', sound, 'b'], ['media', narrow, 'c']);
      const { results } = await answerOf(analysisBatchAnswer, send(server, '/analyze/batch', files));
      const [onSide, heard, unjudged] = results.map((item) => (item.success ? item.data : undefined));
      assert.equal(onSide?.forensics?.jpeg?.quality, 80);
      assert.equal(onSide.provenance?.exif?.present, true);
      assert.equal(heard?.forensics, undefined);
      assert.equal(heard?.provenance?.container?.encoder, null);
      assert.equal(unjudged?.verdict, 'INCONCLUSIVE');
      assert.equal(unjudged.provenance?.exif?.present, false);
    }, on));

  test('that cannot be read are null and a warning, and the verdict is given', () =>
    withTestServer(async (server) => {
      const damaged = await withDamagedExif(picture);
      const answer = await answerOf(
        detectionAnswer,
        send(server, '/v1/detections', form(['media', damaged])),
      );
      assert.notEqual(answer.verdict, 'INCONCLUSIVE');
      assert.equal(answer.provenance?.exif, null);
      assert.match(answer.warnings.join(' '), /EXIF data could not be read, which says nothing/);
    }, on));
});

/** The file with a block of which the first directory is nowhere. */
async function withDamagedExif(jpeg: Buffer): Promise<Buffer> {
  const body = Buffer.from('Exif\0\0MM\0*\xff\xff\xff\xf0', 'latin1');
  const head = Buffer.from([0xff, 0xe1, 0, body.length + 2]);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}
