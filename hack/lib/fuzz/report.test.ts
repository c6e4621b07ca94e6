import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FuzzCase } from './cases.ts';
import { reportText } from './report.ts';

test('the report has cases by kind and outcome, memory, time and findings with their cases', () => {
  const cases = [{ index: 7 }, { index: 9 }] as FuzzCase[];
  const text = reportText({
    seedsDigest: 'abc',
    outcomes: new Map([
      ['video', new Map([['422 corrupt_media', 2]])],
      [
        'image',
        new Map([
          ['200 AUTHENTIC', 3],
          ['415 unsupported_media', 5],
        ]),
      ],
    ]),
    findings: [
      { what: 'the process ended', cases },
      { what: 'a file is left', cases: [] },
    ],
    memory: { warmMiB: undefined, endMiB: 200.4, peakMiB: 300 },
    seconds: 4,
  });
  assert.equal(
    text,
    `       5  image  415 unsupported_media
       3  image  200 AUTHENTIC
       2  video  422 corrupt_media
10 cases of the files abc in 4 s, 2.5 a second
resident: 200 MiB at the end, 300 MiB at most
2 findings
  the process ended (case 7, 9)
  a file is left`,
  );
});
