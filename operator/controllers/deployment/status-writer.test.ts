import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeClient } from '../../runtime/client.ts';
import { aModelDeployment } from '../builders.ts';
import type { ModelDeployment } from '../kinds.ts';
import { leftovers, StatusWriter } from './status-writer.ts';

describe('what an apply leaves', () => {
  const rows: [what: string, live: object, wanted: object, patch: object | undefined][] = [
    ['nothing where both are the same', { a: 1, b: { c: 1 } }, { a: 1, b: { c: 1 } }, undefined],
    ['is taken out', { a: 1, abortReason: 'x' }, { a: 1 }, { abortReason: null }],
    [
      'is taken out inside',
      { canary: { weights: 1, x: 2 } },
      { canary: { weights: 1 } },
      { canary: { x: null } },
    ],
    [
      'is written as a whole in a list',
      { pauseConditions: [{ reason: 'PausedByUser' }, { reason: 'CanaryPauseStep' }] },
      { pauseConditions: [{ reason: 'CanaryPauseStep' }] },
      { pauseConditions: [{ reason: 'CanaryPauseStep' }] },
    ],
    ['is not what is missing: that was applied', {}, { a: 1 }, undefined],
  ];
  for (const [what, live, wanted, patch] of rows) {
    it(what, () => assert.deepEqual(leftovers(live as never, wanted as never), patch));
  }
});

function scripted(applied: object) {
  const asked: unknown[] = [];
  const at = (resourceVersion: string, status: unknown): ModelDeployment => {
    const { metadata, spec } = aModelDeployment();
    return { spec, status: status as never, metadata: { ...metadata, resourceVersion } };
  };
  const client = {
    applyStatus: async (_kind: unknown, { status }: { status: object }) => {
      asked.push(['apply', status]);
      return at('2', { ...status, ...applied });
    },
    patch: async (_kind: unknown, _ref: unknown, body: object) => {
      asked.push(['patch', body]);
      return at('3', {});
    },
    find: async () => {
      asked.push('find');
      return at('9', {});
    },
  } as unknown as KubeClient;
  return { asked, writer: new StatusWriter(client), at };
}
const signal = AbortSignal.timeout(60_000);

describe('a status', () => {
  it('is not written where it is so already', async () => {
    const { asked, writer, at } = scripted({});
    const owner = at('1', { phase: 'Healthy' });
    assert.equal(await writer.write(owner, { phase: 'Healthy' }, { signal, resourceVersion: '1' }), '1');
    assert.deepEqual(asked, []);
  });

  it('is applied, and what a user has left there is taken out of the very object', async () => {
    const { asked, writer, at } = scripted({ abortReason: 'by hand' });
    const made = await writer.write(at('1', {}), { phase: 'Healthy' }, { signal, resourceVersion: '1' });
    assert.equal(made, '3');
    assert.deepEqual(asked, [
      ['apply', { phase: 'Healthy' }],
      ['patch', { metadata: { resourceVersion: '2' }, status: { abortReason: null } }],
    ]);
  });

  it('is read from the API server until the store has what was written', async () => {
    const { asked, writer, at } = scripted({});
    const old = at('1', {});
    assert.equal(await writer.newest(old, signal), old);
    await writer.write(old, { phase: 'Healthy' }, { signal, resourceVersion: '1' });
    assert.equal((await writer.newest(old, signal))?.metadata.resourceVersion, '9');
    const fresh = at('2', {});
    assert.equal(await writer.newest(fresh, signal), fresh);
    assert.equal(asked.filter((call) => call === 'find').length, 1);
  });
});
