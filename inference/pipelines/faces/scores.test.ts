import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  faceSegments,
  faceSignals,
  frameLogits,
  framesWithFaces,
  type JudgedFace,
  tracksOf,
} from './scores.ts';

const box = { x: 0, y: 0, width: 10, height: 10 };
const face = (frame: number, trackId: number, logit: number): JudgedFace => ({ frame, trackId, logit, box });
const moments = [0.5, 1.5, 2.5, 3.5];
/** Two in the first frame, none in the second. */
const faces = [face(0, 0, 2), face(0, 1, -2), face(2, 1, -1), face(3, 1, 1)];
const fake = { scoreOf: (logit: number) => 1 / (1 + Math.exp(-logit)) };
const real = { scoreOf: (logit: number) => 1 / (1 + Math.exp(logit)) };
const two = (value: number | null | undefined) => value?.toFixed(2);

describe('frames', () => {
  const frames = framesWithFaces(moments, faces, fake);

  test('have the score of the face that looks most like a fake, and none without a face', () => {
    assert.deepEqual(
      frames.map(({ index, t_s, score }) => [index, t_s, score === null ? null : two(score)]),
      [
        [0, 0.5, '0.88'],
        [1, 1.5, null],
        [2, 2.5, '0.27'],
        [3, 3.5, '0.73'],
      ],
    );
    assert.deepEqual(
      frames.map((frame) => frame.faces?.map(({ track_id, score }) => [track_id, two(score)])),
      [
        [
          [0, '0.88'],
          [1, '0.12'],
        ],
        [],
        [[1, '0.27']],
        [[1, '0.73']],
      ],
    );
  });

  const rows = [
    { name: 'whose graph says fake', scoring: fake, logits: [2, -1, 1] },
    { name: 'whose graph says real', scoring: real, logits: [-2, -1, 1] },
  ];
  for (const { name, scoring, logits } of rows)
    test(`${name} have the logit of that face`, () => assert.deepEqual(frameLogits(faces, scoring), logits));

  test('without a face end a stretch: what lies there was not judged', () => {
    assert.deepEqual(
      faceSegments(frames, 4).map(({ start_s, end_s, score }) => [start_s, end_s, two(score)]),
      [
        [0.5, 1.5, '0.88'],
        [2.5, 3.5, '0.27'],
        [3.5, 4, '0.73'],
      ],
    );
  });

  test('are counted with and without faces', () => {
    const { rolling_average_scores, ...signals } = faceSignals(frames, 0.7) as Record<
      string,
      number | number[]
    >;
    assert.deepEqual(
      { ...signals, average_face_score: two(signals['average_face_score'] as number) },
      {
        frames_analysed: 4,
        frames_with_face: 3,
        total_faces_detected: 4,
        suspicious_frames_count: 2,
        average_face_score: '0.50',
        max_frame_score: frames[0]?.score,
        min_frame_score: frames[2]?.score,
        score_variance: signals['score_variance'],
      },
    );
    assert.deepEqual(faceSignals(framesWithFaces(moments, [], fake), 0.7), {
      frames_analysed: 4,
      frames_with_face: 0,
      total_faces_detected: 0,
    });
  });
});

test('tracks come as they appear, with the score of their mean logit and their first and last moment', () => {
  assert.deepEqual(
    tracksOf(moments, faces, fake).map(({ track_id, score, span_s }) => [track_id, two(score), span_s]),
    [
      [0, '0.88', [0.5, 0.5]],
      [1, '0.34', [0.5, 3.5]],
    ],
  );
});
