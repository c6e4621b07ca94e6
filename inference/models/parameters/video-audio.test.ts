import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { videoAudio } from './video-audio.ts';

const valid = {
  type: 'video-audio',
  frames: 16,
  frame: { width: 224, height: 224, fit: 'cover', interpolation: 'bilinear' },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0, 0, 0], std: [1, 1, 1] },
  sound: { sampleRate: 16_000, windowSeconds: 4, windows: 1, maxSeconds: 60 },
};

describe('what a model of pictures and sound requires', () => {
  const rows: { requires: unknown; isAccepted: boolean }[] = [
    { requires: [], isAccepted: true },
    { requires: ['video', 'audio'], isAccepted: true },
    { requires: ['audio', 'audio'], isAccepted: false },
    { requires: ['subtitles'], isAccepted: false },
    { requires: undefined, isAccepted: false },
  ];
  for (const { requires, isAccepted } of rows)
    test(`${JSON.stringify(requires)} is ${isAccepted ? 'accepted' : 'refused'}`, () =>
      assert.equal(videoAudio.safeParse({ ...valid, requires }).success, isAccepted));
});
