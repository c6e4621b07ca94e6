import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ScriptedFace, ScriptedFinder } from '../testing/scripted-faces.ts';
import { FaceFollower } from './follower.ts';

const { signal } = new AbortController();
const at = (x: number, side = 100): ScriptedFace => ({ box: { x, y: 50, width: side, height: side } });

/** The main face of each picture: its subject and where it is. */
async function followed(script: readonly (readonly ScriptedFace[])[], stepSeconds = 0.1, minSide = 20) {
  const pictures = script.map(() => ({ data: new Uint8Array(3), width: 1, height: 1 }));
  const finder = new ScriptedFinder((picture) => script[picture] ?? [], pictures);
  const follower = new FaceFollower(finder, minSide, signal);
  const seen: (readonly [number, number] | null)[] = [];
  for (const [index, picture] of pictures.entries()) {
    const face = await follower.look(picture, index * stepSeconds);
    seen.push(face === undefined ? null : [face.subject, face.box.x]);
  }
  return { seen, searched: finder.searched };
}

const times = <T>(count: number, value: T): T[] => Array<T>(count).fill(value);

describe('the main face', () => {
  const rows: {
    name: string;
    script: readonly (readonly ScriptedFace[])[];
    stepSeconds?: number;
    seen: readonly (readonly [number, number] | null)[];
    searched: readonly number[];
  }[] = [
    {
      name: 'is searched once and then looked at where it was',
      script: [[at(0)], [at(10)], [at(20)], [at(30)]],
      seen: [
        [0, 0],
        [0, 10],
        [0, 20],
        [0, 30],
      ],
      searched: [0],
    },
    {
      name: 'is searched in each of pictures that lie far apart',
      script: [[at(0)], [at(10)], [at(20)]],
      stepSeconds: 0.2,
      seen: [
        [0, 0],
        [0, 10],
        [0, 20],
      ],
      searched: [0, 1, 2],
    },
    {
      name: 'is the largest one, and stays it while others grow',
      script: [
        [at(300, 90), at(0, 100)],
        [at(300, 200), at(5, 100)],
        [at(300, 200), at(10, 100)],
      ],
      stepSeconds: 0.2,
      seen: [
        [0, 0],
        [0, 5],
        [0, 10],
      ],
      searched: [0, 1, 2],
    },
    {
      name: 'is the same after pictures without any face',
      script: [[at(0)], ...times(2, []), [at(5)]],
      seen: [[0, 0], null, null, [0, 5]],
      searched: [0, 1, 2, 3],
    },
    {
      name: 'is another one when it left and somebody else stays',
      script: [[at(0)], ...times(7, [at(400)])],
      seen: [[0, 0], ...times(5, null), ...times<[number, number]>(2, [1, 400])],
      searched: [0, 1, 2, 3, 4, 5, 6],
    },
    {
      name: 'is searched less often while nobody is seen',
      script: times(12, []),
      seen: times(12, null),
      searched: [0, 1, 2, 7],
    },
    {
      name: 'is not one that is too small, and no longer one that becomes too small',
      script: [[at(0, 19)], [at(0, 20)], [at(0, 19)]],
      seen: [null, [0, 0], null],
      searched: [0, 1, 2],
    },
  ];
  for (const { name, script, stepSeconds, ...expected } of rows) {
    test(name, async () => assert.deepEqual(await followed(script, stepSeconds), expected));
  }

  test('is not looked for when whoever asked has left', async () => {
    const reason = new Error('the client left');
    const follower = new FaceFollower(new ScriptedFinder(() => []), 20, AbortSignal.abort(reason));
    await assert.rejects(follower.look({ data: new Uint8Array(3), width: 1, height: 1 }, 0), reason);
  });
});
