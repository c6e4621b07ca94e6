import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeepfakeModelStatus } from '../../api/deepfake-model.ts';
import { aModel, DIGEST, readyStatus } from '../builders.ts';
import type { DeepfakeModel } from '../kinds.ts';
import { type OtherSharer, turnOf } from './sharing.ts';

const aged = (name: string, minute: number, changes: Parameters<typeof aModel>[1] = {}): DeepfakeModel => {
  const model = aModel(name, changes);
  const creationTimestamp = `2026-01-01T00:0${minute}:00Z`;
  return { ...model, metadata: { ...model.metadata, creationTimestamp } };
};
const self = aged('self', 5);
const other = (minute: number, changes: Partial<OtherSharer> & { spec?: object; status?: object } = {}) => {
  const { spec = {}, status, ...rest } = changes;
  const model = aged(`other-${minute}`, minute, {
    spec: { digest: DIGEST, ...spec },
    ...(status ? { status: status as DeepfakeModelStatus } : {}),
  });
  return { model, used: false, current: false, ...rest };
};
const running = (more: object = {}) => ({
  current: true,
  status: { phase: 'Fetching', fetch: { id: 'x', phase: 'Running', attempts: 1 }, ...more },
});
const verified = (uid = 'u') => ({
  current: true,
  status: readyStatus({
    pvc: { claimName: 'c', path: 'p', uid },
    fetch: { id: 'x', phase: 'Succeeded', attempts: 1 },
  }),
});
const failed = {
  current: true,
  status: { phase: 'Failed', fetch: { id: 'x', phase: 'Failed', attempts: 1 } },
};
const reason = (text: string) => ({
  conditions: [{ type: 'Ready', status: 'False', reason: text, message: '', lastTransitionTime: 'T' }],
});
const deleted = (sharer: OtherSharer): OtherSharer => {
  const metadata = { ...sharer.model.metadata, deletionTimestamp: 'T' };
  return { ...sharer, model: { ...sharer.model, metadata } };
};

describe('of models that share a claim', () => {
  const rows: { what: string; others: OtherSharer[]; waitsFor?: string; there?: boolean }[] = [
    { what: 'a single one begins', others: [] },
    { what: 'the oldest begins', others: [other(6), other(7)] },
    { what: 'a younger one waits', others: [other(3), other(2), other(6)], waitsFor: 'other-2' },
    { what: 'none waits for one on demand', others: [other(1, { spec: { fetch: { policy: 'OnDemand' } } })] },
    {
      what: 'one waits for one on demand that is used',
      others: [other(1, { used: true, spec: { fetch: { policy: 'OnDemand' } } })],
      waitsFor: 'other-1',
    },
    { what: 'the oldest waits for one that fetches', others: [other(9, running())], waitsFor: 'other-9' },
    { what: 'none waits for one that failed', others: [other(1, failed)] },
    { what: 'none waits for one that goes', others: [deleted(other(1)), deleted(other(9, running()))] },
    { what: 'none waits for one whose Job is refused', others: [other(1, running({ phase: 'Failed' }))] },
    { what: 'none waits for one without its Secret', others: [other(1, running(reason('SecretNotFound')))] },
    ...['Unschedulable', 'VolumeNodeFull', 'JobSuspended', 'PodRejected', 'QuotaExceeded'].map((why) => ({
      what: `none waits for one without a running pod: ${why}`,
      others: [other(1, running(reason(why)))],
    })),
    {
      what: 'a younger one waits for one that waits for the claim',
      others: [other(1, running(reason('PvcPending')))],
      waitsFor: 'other-1',
    },
    { what: 'none waits for one whose spec is invalid', others: [other(1, { status: { phase: 'Failed' } })] },
    { what: 'one reads what is there', others: [other(1), other(2, verified())], there: true },
    {
      what: 'several read what is there at once',
      others: [other(1, verified()), other(2, running())],
      there: true,
    },
    {
      what: 'none reads while another repairs',
      others: [
        other(1, verified()),
        other(2, running({ fetch: { id: 'x', phase: 'Running', attempts: 2, repairs: 1 } })),
      ],
      waitsFor: 'other-2',
      there: true,
    },
    { what: 'none reads what was on a claim before it was made anew', others: [other(1, verified('old'))] },
    {
      what: 'none reads what was verified for another spec',
      others: [other(1, { ...verified(), current: false })],
      waitsFor: 'other-1',
    },
  ];
  for (const { what, others, waitsFor, there = false } of rows) {
    it(what, () => {
      const turn = turnOf(self, others, 'u');
      assert.deepEqual([turn.waitsFor, turn.packageThere], [waitsFor, there]);
    });
  }

  it('one and only one begins, whichever looks', () => {
    const models = [aged('b', 1), aged('a', 1), aged('c', 0)];
    const begins = models.filter((model) => {
      const others = models
        .filter((one) => one !== model)
        .map((one) => ({ model: one, used: false, current: false }));
      return turnOf(model, others, 'u').waitsFor === undefined;
    });
    assert.deepEqual(
      begins.map(({ metadata }) => metadata.name),
      ['c'],
    );
  });
});
