import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { KubeClient } from './client.ts';
import { Informer } from './informer.ts';
import { type Kind, type KubeObject, trimManagedFields } from './object.ts';
import type { Change } from './store.ts';

const KIND: Kind = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const thing = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, resourceVersion, managedFields: [{ manager: 'a' }, { manager: 'b' }] },
});

test('listed and watched objects are kept and told of as trimmed', async () => {
  const ending = new AbortController();
  const client = {
    list: async () => ({ metadata: { resourceVersion: '1' }, items: [thing('listed', '1')] }),
    async *watch() {
      yield { type: 'ADDED', object: thing('watched', '2') };
      ending.abort();
    },
  } as unknown as KubeClient;
  const trim = (object: KubeObject) =>
    trimManagedFields(object, (fields) => (fields.manager === 'b' ? [fields] : []));
  const informer = new Informer({ client, kind: KIND, log: pino({ level: 'silent' }), trim });
  const changes: Change<KubeObject>[] = [];
  informer.onChange((change) => changes.push(change));
  await informer.run(ending.signal);
  const owners = (object: KubeObject) => [object.metadata.name, object.metadata.managedFields];
  const expected = [
    ['listed', [{ manager: 'b' }]],
    ['watched', [{ manager: 'b' }]],
  ];
  assert.deepEqual(informer.store.list().map(owners), expected);
  assert.deepEqual(
    changes.map(({ object }) => owners(object)),
    expected,
  );
});

test('an object without owners of fields worth keeping has none, and is otherwise as it was', () => {
  const object = { ...thing('one', '1'), spec: { a: 1 } };
  assert.deepEqual(trimManagedFields(object), {
    metadata: { name: 'one', resourceVersion: '1' },
    spec: { a: 1 },
  });
});
