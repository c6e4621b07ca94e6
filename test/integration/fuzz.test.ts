/** Media that are spoiled at random, through the pod's own program: the same few hundred in every run of hack/fuzz with this seed. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
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

test('the end of the process is a finding with the cases that were under way; their files and its log are kept, and the next one goes on', async () => {
  await inTemporaryFolder(async (out) => {
    let pods = 0;
    const options = { seed: 1, from: 0, count: 20, kinds: ['image'] as const, out, clients: 2 };
    const report = await fuzz(options, (message) => {
      const pid = /^the pod is process (\d+)$/.exec(message)?.[1];
      if (pid === undefined) return;
      pods += 1;
      if (pods === 1) process.kill(Number(pid), 'SIGKILL');
    });
    assert.equal(pods, 2);
    const [death, ...others] = report.findings;
    assert.deepEqual([death?.what, others], ['the process ended with SIGKILL', []], reportText(report));
    const suspects = death?.cases ?? [];
    assert.ok(suspects.length > 0);
    const files = suspects.map(({ index, seedFile }) => `1-${index}-${seedFile}`);
    assert.deepEqual((await readdir(out)).sort(), [...files, '1-pod.log'].sort());
    const answered = [...(report.outcomes.get('image') ?? [])].reduce((sum, [, count]) => sum + count, 0);
    assert.equal(answered, 20 - suspects.length);
  });
});
