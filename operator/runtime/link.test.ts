import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { link, unlessAborted } from './link.ts';

it('aborts with the first of its sources, for its reason', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { signal } = link([one.signal, undefined, other.signal]);
  assert.equal(signal.aborted, false);
  other.abort(new Error('first'));
  one.abort(new Error('second'));
  assert.equal(signal.reason.message, 'first');
});

it('is aborted from the start where a source is', () => {
  assert.equal(link([AbortSignal.abort(new Error('before'))]).signal.reason.message, 'before');
});

it('aborts after its time', async () => {
  const { signal } = link([], 5);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  assert.equal(signal.reason.name, 'TimeoutError');
});

it('hears of nothing more once released', async () => {
  const source = new AbortController();
  const { signal, release } = link([source.signal], 5);
  release();
  source.abort();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(signal.aborted, false);
});

it('leaves nothing behind on a source that lives on', () => {
  setFlagsFromString('--expose_gc');
  const collect: () => void = runInNewContext('gc');
  const source = new AbortController();
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const round = () => {
    for (let count = 0; count < 20_000; count += 1) link([source.signal], 60_000).release();
  };
  round();
  const before = heap();
  round();
  assert.ok(heap() - before < 1_000_000, `${heap() - before} bytes more`);
  assert.equal(getEventListeners(source.signal, 'abort').length, 0);
});

it('leaves work that cannot be aborted, and leaves nothing behind', async () => {
  const source = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(7), source.signal), 7);
  await assert.rejects(unlessAborted(Promise.reject(new Error('scripted')), source.signal), /scripted/);
  const left = unlessAborted(new Promise(() => undefined), source.signal);
  source.abort(new Error('enough'));
  await assert.rejects(left, /enough/);
  await assert.rejects(unlessAborted(new Promise(() => undefined), source.signal), /enough/);
  assert.equal(getEventListeners(source.signal, 'abort').length, 0);
});
