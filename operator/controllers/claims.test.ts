import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AccessMode, claimPlacement, claimVolume, placeByClaims } from './claims.ts';

const claim = (claimName: string, accessMode?: AccessMode) => ({ claimName, accessMode });

describe('pods that mount', () => {
  const rows = [
    { what: 'no claim', claims: [], tied: [] },
    { what: 'one claim of one node', claims: [claim('a', 'ReadWriteOnce')], tied: ['a'] },
    { what: 'a claim of unknown mode', claims: [claim('a')], tied: ['a'] },
    {
      what: 'claims of any node',
      claims: [claim('a', 'ReadWriteMany'), claim('b', 'ReadOnlyMany')],
      tied: [],
    },
    {
      what: 'claims of both kinds, one twice',
      claims: [claim('b', 'ReadWriteOnce'), claim('x', 'ReadWriteMany'), claim('a'), claim('a')],
      tied: ['a', 'b'],
    },
  ];
  for (const { what, claims, tied } of rows) {
    it(`${what} are tied to the node of ${tied.join(' and ') || 'nothing'}`, () => {
      const { labels, affinity } = claimPlacement(claims);
      assert.deepEqual(Object.values(labels), tied);
      const required = affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
      // The first pod is let anywhere only if it matches its own terms.
      assert.deepEqual(
        Object.assign({}, ...required.map(({ labelSelector }) => labelSelector?.matchLabels)),
        labels,
      );
      assert.equal(required.length, tied.length);
      assert.ok(required.every(({ topologyKey }) => topologyKey === 'kubernetes.io/hostname'));
      const preferred = affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
      assert.equal(preferred.length, tied.length > 1 ? tied.length : 0);
    });
  }
});

it('labels stay valid and the same for names of any length and in any order', () => {
  const [a, b] = [claim('a'.repeat(253)), claim('b')];
  const { labels } = claimPlacement([a, b]);
  assert.deepEqual(claimPlacement([b, a]).labels, labels);
  for (const [key, value] of Object.entries(labels)) {
    assert.match(key, /^deepfake-operator\.io\/claim-[a-f0-9]{10}$/);
    assert.ok(value.length <= 63);
  }
});

describe('a volume is read-only', () => {
  const rows = [
    { what: 'where pods of one node share it', claim: claim('c', 'ReadWriteOnce'), readOnly: undefined },
    { what: 'where nodes share it unwritten', claim: claim('c', 'ReadOnlyMany'), readOnly: true },
    {
      what: 'where it is the user’s',
      claim: { ...claim('c', 'ReadWriteMany'), readOnly: true },
      readOnly: true,
    },
  ];
  for (const { what, claim: mounted, readOnly } of rows) {
    it(`${what}: ${readOnly ?? false}`, () => {
      assert.equal(claimVolume('v', mounted).persistentVolumeClaim?.readOnly, readOnly);
    });
  }
});

it('the placement is added to labels and affinity that are there', () => {
  const node = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } };
  const zone = { topologyKey: 'zone' };
  const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [zone] };
  const template = {
    metadata: { labels: { l: 'v' } },
    spec: { affinity: { ...node, podAffinity }, more: 1 },
  };
  const { labels, affinity } = claimPlacement([claim('c')]);
  const placed = placeByClaims(template, [claim('c')]);
  assert.deepEqual(placed.metadata.labels, { l: 'v', ...labels });
  assert.equal(placed.spec.more, 1);
  assert.deepEqual(placed.spec.affinity, {
    ...node,
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        zone,
        ...(affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ],
    },
  });
  assert.equal(placeByClaims(template, [claim('c', 'ReadWriteMany')]), template);
});
