import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { freePorts } from '../../../hack/lib/free-ports.ts';
import { Progress, serveProgress } from './progress.ts';

describe('progress', () => {
  test('is the sum of the parts, also when one begins again', () => {
    const progress = new Progress();
    assert.deepEqual(progress.view, { receivedBytes: 0, totalBytes: null });
    progress.expect(100);
    progress.received('one', 40);
    progress.received('two', 30);
    progress.received('one', 10);
    assert.deepEqual(progress.view, { receivedBytes: 40, totalBytes: 100 });
  });

  test('is served under one path', async () => {
    const progress = new Progress();
    progress.received('one', 7);
    const [port = 0] = await freePorts(1);
    const end = await serveProgress(progress, port);
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/progress`);
      assert.deepEqual(await answer.json(), { receivedBytes: 7, totalBytes: null });
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
      assert.equal((await fetch(`http://127.0.0.1:${port}/progress`, { method: 'POST' })).status, 404);
      await assert.rejects(
        serveProgress(progress, port),
        /port \d+ cannot be used .* choose another --progress-port/,
      );
    } finally {
      end();
    }
  });
});
