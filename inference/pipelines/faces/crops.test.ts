import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Raster } from '../../dsp/tiles.ts';
import type { Classifier } from '../../engine/session.ts';
import type { FaceCropParameters } from '../../models/parameters/faces.ts';
import { ScriptedFinder } from '../../testing/scripted-faces.ts';
import { FaceJudge } from './crops.ts';

const parameters = {
  faces: { max: 2, minSide: 10 },
  crop: { width: 16, height: 16, margin: 0, fit: 'stretch' },
  pixels: { channels: 'rgb', layout: 'nchw', mean: [0, 0, 0], std: [1, 1, 1] },
} as const satisfies FaceCropParameters;
const itemFloats = 3 * 16 * 16;

/** A black picture that counts how often its pixels were asked for: once a crop. */
class ReadPicture implements Raster {
  readonly width = 100;
  readonly height = 100;
  reads = 0;
  readonly #data = new Uint8Array(3 * 100 * 100);

  get data(): Uint8Array {
    this.reads += 1;
    return this.#data;
  }
}

const face = (x: number, side: number) => ({ box: { x, y: 0, width: side, height: side } });

describe('of the faces of a picture', () => {
  const rows = [
    { name: 'none is cropped where there is none', faces: [], sides: [], leftOut: { small: 0, many: 0 } },
    {
      name: 'the largest are cropped, and no other',
      faces: [face(0, 12), face(20, 30), face(60, 11), face(70, 20)],
      sides: [30, 20],
      leftOut: { small: 0, many: 2 },
    },
    {
      name: 'none that is too small is cropped',
      faces: [face(0, 9), face(20, 5)],
      sides: [],
      leftOut: { small: 2, many: 0 },
    },
    {
      name: 'one outside the picture takes the place of none',
      faces: [face(200, 50), face(0, 12), face(20, 11)],
      sides: [12, 11],
      leftOut: { small: 0, many: 0 },
    },
  ];
  for (const { name, faces, sides, leftOut } of rows) {
    test(name, async () => {
      const classifier = {
        logits: async (items: Float32Array) => new Float32Array(items.length / itemFloats),
      } as unknown as Classifier;
      const finder = new ScriptedFinder(() => faces);
      const { signal } = new AbortController();
      const judge = new FaceJudge(parameters, { finder, classifier }, { signal });
      const picture = new ReadPicture();
      await judge.look(picture, 0, { x: 1, y: 1 });
      await judge.finish();
      assert.deepEqual(
        judge.faces.map(({ box }) => box.width),
        sides,
      );
      assert.deepEqual(judge.leftOut, leftOut);
      assert.equal(picture.reads, sides.length);
    });
  }
});
