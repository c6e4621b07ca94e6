import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KubeObject } from './object.ts';
import { type Change, Store } from './store.ts';

const object = (name: string, resourceVersion = '1', owner = 'x', namespace = 'n'): KubeObject => ({
  metadata: { namespace, name, resourceVersion, labels: { owner } },
});

function start() {
  const store = new Store<KubeObject>();
  store.addIndex('owner', ({ metadata }) => [metadata.labels?.['owner'] ?? '']);
  return store;
}
const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name).sort();
const told = (changes: readonly Change<KubeObject>[]) =>
  changes.map(({ type, object: { metadata } }) => `${type} ${metadata.name}`);

it('tells what is new, what changed, what went, and nothing of what stayed', () => {
  const store = start();
  assert.equal(store.set(object('a'))?.type, 'added');
  assert.equal(store.set(object('a')), undefined);
  const change = store.set(object('a', '2'));
  assert.equal(change?.type === 'updated' && change.previous.metadata.resourceVersion, '1');
  assert.equal(store.remove(object('a'))?.type, 'deleted');
  assert.equal(store.remove(object('a')), undefined);
});

it('indexes follow changes and removals', () => {
  const store = start();
  store.set(object('a', '1', 'x'));
  store.set(object('b', '1', 'x'));
  store.set(object('a', '2', 'y'));
  assert.deepEqual(names(store.byIndex('owner', 'x')), ['b']);
  assert.deepEqual(names(store.byIndex('owner', 'y')), ['a']);
  store.remove(object('b'));
  assert.deepEqual(store.byIndex('owner', 'x'), []);
  assert.throws(() => store.byIndex('absent', 'x'), /no index named absent/);
});

it('an index added later covers what is there', () => {
  const store = start();
  store.set(object('a'));
  store.addIndex('name', ({ metadata }) => [metadata.name]);
  assert.deepEqual(names(store.byIndex('name', 'a')), ['a']);
});

it('a fresh list removes what it lacks, in its own namespace only', () => {
  const store = start();
  for (const name of ['gone', 'same', 'changed']) store.set(object(name));
  store.set(object('elsewhere', '1', 'x', 'm'));
  const changes = store.replace([object('same'), object('changed', '2'), object('new')], 'n');
  assert.deepEqual(told(changes), ['deleted gone', 'resynced same', 'updated changed', 'added new']);
  assert.deepEqual(names(store.list()), ['changed', 'elsewhere', 'new', 'same']);
});

it('a fresh list counts even where it has another object under a version that is known', () => {
  const store = start();
  store.set(object('a', '7', 'x'));
  const changes = store.replace([object('a', '7', 'restored')]);
  assert.deepEqual(told(changes), ['resynced a']);
  assert.deepEqual(names(store.byIndex('owner', 'restored')), ['a']);
  assert.deepEqual(store.byIndex('owner', 'x'), []);
});

it('an indexer that throws loses its index entry, not the object', () => {
  const complaints: string[] = [];
  const store = new Store<KubeObject>((name, error) => complaints.push(`${name}: ${String(error)}`));
  store.addIndex('owner', ({ metadata }) => {
    if (metadata.name === 'odd') throw new Error('scripted');
    return ['x'];
  });
  store.set(object('odd'));
  store.set(object('even'));
  assert.deepEqual(names(store.list()), ['even', 'odd']);
  assert.deepEqual(names(store.byIndex('owner', 'x')), ['even']);
  assert.equal(store.remove(object('odd'))?.type, 'deleted');
  assert.deepEqual([...new Set(complaints)], ['owner: Error: scripted']);
});
