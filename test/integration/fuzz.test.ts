/** Media that are spoiled at random, through the pod's own program: the same few hundred in every run of hack/fuzz with this seed. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { KINDS } from '../../hack/lib/fuzz/cases.ts';
import { reportText } from '../../hack/lib/fuzz/report.ts';
import { fuzz } from '../../hack/lib/fuzz/run.ts';
import { inTemporaryFolder } from '../../inference/testing/media.ts';

const count = 400;

test('no file that was spoiled at random makes the server fail, hang or leave anything behind', async (t) => {
  await inTemporaryFolder(async (folder) => {
    const options = { seed: 1, from: 0, count, kinds: KINDS, out: join(folder, 'findings'), clients: 8 };
    const report = await fuzz(options, (message) => t.diagnostic(message));
    assert.deepEqual(report.findings, [], reportText(report));
    const counts = [...report.outcomes.values()].flatMap((outcomes) => [...outcomes]);
    assert.equal(
      counts.reduce((sum, [, cases]) => sum + cases, 0),
      count,
    );
    for (const ending of [
      '200 AUTHENTIC',
      '200 DEEPFAKE',
      '200 INCONCLUSIVE',
      '422 corrupt_media',
      '415 unsupported_media',
    ])
      assert.ok(
        counts.some(([outcome]) => outcome === ending),
        `${ending} among:\n${reportText(report)}`,
      );
    assert.deepEqual([...report.outcomes.keys()].sort(), [...KINDS].sort());
  });
});
