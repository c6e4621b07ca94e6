import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Discovery, type ResourceList } from './discovery.ts';
import { FakeClock } from './fake-clock.ts';
import type { Kind } from './object.ts';

const WIDGET: Kind = { apiVersion: 'example.org/v1', kind: 'Widget', plural: 'widgets', namespaced: true };
const GADGET: Kind = { ...WIDGET, kind: 'Gadget', plural: 'gadgets' };
const withWidgets: ResourceList = {
  resources: [
    { name: 'widgets', kind: 'Widget' },
    { name: 'widgets/status', kind: 'Widget' },
  ],
};

function start() {
  const clock = new FakeClock();
  const state = { asked: 0, answer: async (): Promise<ResourceList | undefined> => withWidgets };
  const read = () => {
    state.asked += 1;
    return state.answer();
  };
  return { clock, state, discovery: new Discovery({ read, clock, expiryMs: 1_000 }) };
}

it('tells a kind that is served from one that is not, by one request for its group and version', async () => {
  const { discovery, state } = start();
  assert.deepEqual(await Promise.all([discovery.serves(WIDGET), discovery.serves(GADGET)]), [true, false]);
  assert.equal(state.asked, 1);
});

it('asks again when the answer has expired, so a kind that was installed meanwhile is found', async () => {
  const { clock, discovery, state } = start();
  state.answer = async () => undefined;
  assert.equal(await discovery.serves(WIDGET), false);
  state.answer = async () => withWidgets;
  clock.advance(999);
  assert.equal(await discovery.serves(WIDGET), false);
  clock.advance(1);
  assert.equal(await discovery.serves(WIDGET), true);
});

it('an answer expires even where the clock is set back', async () => {
  const { clock, discovery, state } = start();
  assert.equal(await discovery.serves(WIDGET), true);
  state.answer = async () => undefined;
  clock.advance(1_000);
  clock.setBack(3_600_000);
  assert.equal(await discovery.serves(WIDGET), false);
});

it('does not take a failure for an answer', async () => {
  const { discovery, state } = start();
  state.answer = async () => {
    throw new Error('scripted');
  };
  await assert.rejects(discovery.serves(WIDGET), /scripted/);
  state.answer = async () => withWidgets;
  assert.equal(await discovery.serves(WIDGET), true);
});
