import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pipelineSchema } from '../pipeline-parameters.ts';

const windows = { sequence: 10, stride: 1, maxWindows: 64, aggregation: 'mean-score' };
const face = { maxFrameSide: 640, minFaceSide: 48 };
const colours = {
  type: 'video-colour-cues',
  sampling: { mode: 'uniform', frames: 50 },
  ...face,
  margin: 20,
  bins: 32,
  ...windows,
  rollingWindows: 10,
};
const blinks = {
  type: 'video-eye-blink',
  sampling: { mode: 'fps', rate: 15, maxFrames: 300 },
  ...face,
  blinks: { threshold: { mode: 'adaptive', percentile: 80, share: 0.8 }, minFrames: 2 },
  eyes: { size: 160, margin: 15 },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0, 0, 0], std: [1, 1, 1] },
  ...windows,
};

describe('the pipeline of a package of cues', () => {
  const rows = [
    { name: 'of colours is taken', pipeline: colours, problem: undefined },
    { name: 'of blinks is taken', pipeline: blinks, problem: undefined },
    {
      name: 'of blinks may have one threshold for everybody',
      pipeline: { ...blinks, blinks: { threshold: { mode: 'fixed', ear: 0.45 }, minFrames: 2 } },
      problem: undefined,
    },
    {
      name: 'of colours needs as many frames as a window has',
      pipeline: { ...colours, sequence: 51 },
      problem: /sequence.*frames that are looked at/s,
    },
    {
      name: 'of blinks needs as many frames as a window has',
      pipeline: { ...blinks, sampling: { ...blinks.sampling, maxFrames: 9 } },
      problem: /sequence.*frames that are looked at/s,
    },
    {
      name: 'of blinks must not keep more crops than fit into memory',
      pipeline: {
        ...blinks,
        sampling: { ...blinks.sampling, maxFrames: 1024 },
        eyes: { size: 256, margin: 0 },
      },
      problem: /maxFrames.*128 MiB/s,
    },
    {
      name: 'of blinks may have windows of nearly 64 MiB',
      pipeline: { ...blinks, sequence: 85, eyes: { size: 256, margin: 0 } },
      problem: undefined,
    },
    {
      name: 'of blinks must not have larger windows',
      pipeline: { ...blinks, sequence: 86, eyes: { size: 256, margin: 0 } },
      problem: /sequence.*64 MiB/s,
    },
    {
      name: 'of blinks has no key of the other kind of threshold',
      pipeline: { ...blinks, blinks: { threshold: { mode: 'fixed', ear: 0.45, share: 1 }, minFrames: 2 } },
      problem: /share/,
    },
  ];
  for (const { name, pipeline, problem } of rows) {
    test(name, () => {
      const { success, error } = pipelineSchema.safeParse(pipeline);
      if (problem === undefined) assert.ok(success, error?.message);
      else assert.match(error?.message ?? '', problem);
    });
  }
});
