import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Box } from './faces.ts';
import { followFaces, noTracks } from './tracks.ts';

const at = (x: number, y = 0, side = 100): Box => ({ x, y, width: side, height: side });

/** The tracks of the faces in each picture. */
function idsOf(pictures: readonly (readonly Box[])[]): (readonly number[])[] {
  let tracks = noTracks;
  return pictures.map((boxes) => {
    const followed = followFaces(tracks, boxes);
    tracks = followed.tracks;
    return followed.ids;
  });
}

const gap = (pictures: number): Box[][] => Array.from({ length: pictures }, () => []);

describe('a face', () => {
  const rows: { name: string; pictures: Box[][]; ids: number[][] }[] = [
    {
      name: 'that moves a little is the same',
      pictures: [[at(0)], [at(30)], [at(60)]],
      ids: [[0], [0], [0]],
    },
    { name: 'that moves by its own width is the same', pictures: [[at(0)], [at(95)]], ids: [[0], [0]] },
    { name: 'somewhere else is another', pictures: [[at(0)], [at(300)]], ids: [[0], [1]] },
    { name: 'of another size nearby is another', pictures: [[at(0)], [at(60, 60, 250)]], ids: [[0], [1]] },
    {
      name: 'keeps its number through a gap',
      pictures: [[at(0)], ...gap(5), [at(10)]],
      ids: [[0], [], [], [], [], [], [0]],
    },
    {
      name: 'is another after a long gap',
      pictures: [[at(0)], ...gap(6), [at(10)]],
      ids: [[0], [], [], [], [], [], [], [1]],
    },
    {
      name: 'beside another keeps its number in whatever order they come',
      pictures: [
        [at(0), at(300)],
        [at(310), at(10)],
      ],
      ids: [
        [0, 1],
        [1, 0],
      ],
    },
    {
      name: 'that overlaps two goes to the one it overlaps most, and nobody shares a number',
      pictures: [[at(0), at(60)], [at(50)], [at(52), at(0)]],
      ids: [[0, 1], [1], [1, 0]],
    },
    {
      name: 'that is new beside a known one gets a number of its own',
      pictures: [[at(0)], [at(20), at(5)]],
      ids: [[0], [1, 0]],
    },
  ];
  for (const { name, pictures, ids } of rows) test(name, () => assert.deepEqual(idsOf(pictures), ids));
});
