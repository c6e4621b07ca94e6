import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  faceClip,
  portrait,
  writeImageFacesPackage,
  writeVideoFacesPackage,
} from '../testing/face-packages.ts';
import { servedDuringTests } from '../testing/served.ts';
import { analysisAnswer } from './views/analysis.ts';
import { detectionAnswer } from './views/detection.ts';

const face = { x: '100', y: '40', side: 300 };
const clips = {
  coming: await faceClip([{ ...face, when: 'between(t,0.5,1.5)' }]),
  nobody: await faceClip([]),
  portrait: await readFile(portrait),
};

describe('a server with models of faces', () => {
  const served = servedDuringTests(async (folder) => {
    await writeVideoFacesPackage(join(folder, 'clips'));
    await writeImageFacesPackage(join(folder, 'pictures'));
  });

  async function post(path: string, media: Uint8Array): Promise<unknown> {
    const form = new FormData();
    form.set('media', new Blob([new Uint8Array(media)]), 'upload');
    const response = await fetch(served().url + path, { method: 'POST', body: form });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  }

  test('tells the faces of each frame and their tracks', async () => {
    const [model] = detectionAnswer.parse(await post('/v1/detections', clips.coming)).models;
    assert.deepEqual(
      model?.frames?.map(({ index, faces }) => [index, faces?.map(({ track_id }) => track_id)]),
      [
        [0, []],
        [1, [0]],
        [2, [0]],
        [3, [0]],
        [4, []],
      ],
    );
    assert.deepEqual(
      model?.tracks?.map(({ track_id, span_s }) => [track_id, span_s]),
      [[0, [0.6, 1.4]]],
    );
    const { x = NaN, width = NaN } = model?.frames?.[1]?.faces?.[0]?.box ?? {};
    assert.ok(Math.abs(x + width / 2 - 232) < 8, `${x} ${width}`);
  });

  test('tells its numbers under the names by which clients of face models know them', async () => {
    const { data } = analysisAnswer.parse(await post('/analyze', clips.coming));
    assert.equal(data.prediction, 'FAKE');
    const { total_faces_detected, suspicious_frames_count, average_face_score } = data.metrics ?? {};
    assert.deepEqual([total_faces_detected, suspicious_frames_count], [3, 3]);
    assert.ok(
      typeof average_face_score === 'number' && Math.abs(average_face_score - (data.score ?? 0)) < 0.01,
    );
    assert.deepEqual(
      data.frame_predictions?.map(({ prediction }) => prediction),
      [null, 'FAKE', 'FAKE', 'FAKE', null],
    );
    assert.equal(data.tracks?.length, 1);
  });

  test('judges the faces of an image', async () => {
    const { data } = analysisAnswer.parse(await post('/analyze', clips.portrait));
    assert.equal(data.prediction, 'FAKE');
    assert.equal(data.metrics?.['total_faces_detected'], 1);
    assert.equal(data.frames?.[0]?.faces?.length, 1);
  });

  test('gives no verdict where nobody is seen', async () => {
    const answer = detectionAnswer.parse(await post('/v1/detections', clips.nobody));
    assert.deepEqual(
      [answer.verdict, answer.score, answer.inconclusive_reasons],
      ['INCONCLUSIVE', null, ['no_face']],
    );
    const { data } = analysisAnswer.parse(await post('/analyze', clips.nobody));
    assert.deepEqual([data.prediction, data.score, data.metrics?.['total_faces_detected']], [null, null, 0]);
  });
});
