import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { applyOverlay, OverlayError, overlaid } from './overlay.ts';

const pod = (spec: object) => ({ metadata: {}, spec });
const laid = (base: object, overlay: object) => applyOverlay(pod(base), { spec: overlay as never }).spec;

const CONTAINERS = {
  containers: [
    {
      name: 'a',
      image: 'i',
      args: ['x', 'y'],
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ],
      ports: [{ name: 'http', containerPort: 80 }],
      volumeMounts: [{ name: 'v', mountPath: '/v', readOnly: true }],
    },
  ],
};
const container = (overlay: object) =>
  (laid(CONTAINERS, { containers: [{ name: 'a', ...overlay }] }) as typeof CONTAINERS).containers[0];

describe('an overlay', () => {
  type Row = { what: string; base: object; overlay: object; result: object };
  const rows: Row[] = [
    { what: 'of nothing', base: { a: 1 }, overlay: {}, result: { a: 1 } },
    {
      what: 'sets a field',
      base: { a: 1 },
      overlay: { priorityClassName: 'p' },
      result: { a: 1, priorityClassName: 'p' },
    },
    {
      what: 'merges maps by key',
      base: { nodeSelector: { a: '1', b: '2' } },
      overlay: { nodeSelector: { b: '3', c: '4' } },
      result: { nodeSelector: { a: '1', b: '3', c: '4' } },
    },
    {
      what: 'takes away by null',
      base: { a: 1, nodeSelector: { a: '1', b: '2' } },
      overlay: { a: null, nodeSelector: { b: null }, absent: null },
      result: { nodeSelector: { a: '1' } },
    },
    {
      what: 'leaves no null in what is new',
      base: {},
      overlay: { securityContext: { runAsUser: null, seccompProfile: { type: 'X', other: null } } },
      result: { securityContext: { seccompProfile: { type: 'X' } } },
    },
    {
      what: 'replaces a map by directive',
      base: { nodeSelector: { a: '1' } },
      overlay: { nodeSelector: { $patch: 'replace', b: '2' } },
      result: { nodeSelector: { b: '2' } },
    },
    {
      what: 'empties a map by directive',
      base: { nodeSelector: { a: '1' } },
      overlay: { nodeSelector: { $patch: 'delete' } },
      result: { nodeSelector: {} },
    },
    {
      what: 'replaces lists without a merge key',
      base: { tolerations: [{ key: 'a' }, { key: 'b' }] },
      overlay: { tolerations: [{ key: 'c' }] },
      result: { tolerations: [{ key: 'c' }] },
    },
    {
      what: 'replaces terms of affinity',
      base: {
        affinity: {
          nodeAffinity: { required: { nodeSelectorTerms: [{ a: 1 }, { b: 1 }] } },
          podAffinity: { x: 1 },
        },
      },
      overlay: { affinity: { nodeAffinity: { required: { nodeSelectorTerms: [{ c: 1 }] } } } },
      result: {
        affinity: { nodeAffinity: { required: { nodeSelectorTerms: [{ c: 1 }] } }, podAffinity: { x: 1 } },
      },
    },
    {
      what: 'puts new items before those that are there',
      base: { volumes: [{ name: 'a' }, { name: 'b' }] },
      overlay: { volumes: [{ name: 'c', emptyDir: {} }] },
      result: { volumes: [{ name: 'c', emptyDir: {} }, { name: 'a' }, { name: 'b' }] },
    },
    {
      what: 'leaves items that it changes where they are',
      base: { volumes: [{ name: 'a' }, { name: 'b', x: 1 }, { name: 'c' }] },
      overlay: { volumes: [{ name: 'b', y: 2 }] },
      result: { volumes: [{ name: 'a' }, { name: 'b', x: 1, y: 2 }, { name: 'c' }] },
    },
    {
      what: 'orders items as it names them',
      base: { volumes: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] },
      overlay: { volumes: [{ name: 'c' }, { name: 'a' }] },
      result: { volumes: [{ name: 'b' }, { name: 'c' }, { name: 'a' }] },
    },
    {
      what: 'deletes an item',
      base: { volumes: [{ name: 'a' }, { name: 'b' }] },
      overlay: { volumes: [{ name: 'a', $patch: 'delete' }, { name: 'c' }] },
      result: { volumes: [{ name: 'c' }, { name: 'b' }] },
    },
    {
      what: 'replaces a list by directive',
      base: { volumes: [{ name: 'a' }, { name: 'b' }] },
      overlay: { volumes: [{ $patch: 'replace' }, { name: 'c', emptyDir: null }] },
      result: { volumes: [{ name: 'c' }] },
    },
    {
      what: 'changes the source of a volume by naming what stays',
      base: { volumes: [{ name: 'a', emptyDir: { sizeLimit: '1Gi' } }] },
      overlay: { volumes: [{ name: 'a', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] },
      result: { volumes: [{ name: 'a', hostPath: { path: '/x' } }] },
    },
    {
      what: 'ignores an order of elements',
      base: { volumes: [{ name: 'a' }, { name: 'b' }] },
      overlay: { '$setElementOrder/volumes': [{ name: 'b' }, { name: 'a' }] },
      result: { volumes: [{ name: 'a' }, { name: 'b' }] },
    },
    {
      what: 'replaces a value of another type',
      base: { a: { b: 1 }, c: [1] },
      overlay: { a: 'x', c: { d: 1 } },
      result: { a: 'x', c: { d: 1 } },
    },
    {
      what: 'merges spread constraints by their key',
      base: { topologySpreadConstraints: [{ topologyKey: 'host', maxSkew: 1 }] },
      overlay: {
        topologySpreadConstraints: [
          { topologyKey: 'host', maxSkew: 2 },
          { topologyKey: 'zone', maxSkew: 1 },
        ],
      },
      result: {
        topologySpreadConstraints: [
          { topologyKey: 'host', maxSkew: 2 },
          { topologyKey: 'zone', maxSkew: 1 },
        ],
      },
    },
  ];
  for (const { what, base, overlay, result } of rows) {
    it(what, () => assert.deepEqual(laid(base, overlay), result));
  }

  it('reaches into containers by the keys of their lists', () => {
    const changed = container({
      env: [
        { name: 'B', value: '3' },
        { name: 'C', value: '4' },
      ],
      ports: [{ containerPort: 80, name: 'web' }],
      volumeMounts: [{ mountPath: '/w', name: 'w' }],
      '$deleteFromPrimitiveList/args': ['x'],
    });
    assert.deepEqual(changed, {
      ...CONTAINERS.containers[0],
      args: ['y'],
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '3' },
        { name: 'C', value: '4' },
      ],
      ports: [{ name: 'web', containerPort: 80 }],
      volumeMounts: [
        { mountPath: '/w', name: 'w' },
        { name: 'v', mountPath: '/v', readOnly: true },
      ],
    });
  });

  it('adds labels and annotations', () => {
    const template = { metadata: { labels: { a: '1' } }, spec: {} };
    const overlay = { metadata: { labels: { b: '2' }, annotations: { c: '3' } } };
    assert.deepEqual(applyOverlay(template, overlay).metadata, {
      labels: { a: '1', b: '2' },
      annotations: { c: '3' },
    });
  });

  it('changes neither of what it is made from', () => {
    const base = structuredClone(CONTAINERS);
    const overlay = { containers: [{ name: 'a', env: [{ name: 'A', $patch: 'delete' }], image: null }] };
    const before = structuredClone(overlay);
    laid(base, overlay);
    assert.deepEqual([base, overlay], [CONTAINERS, before]);
  });
});

describe('what is no patch is refused, with the field', () => {
  const rows: [string, object, RegExp][] = [
    [
      'an item without its key',
      { containers: [{ image: 'x' }] },
      /template\.spec\.containers\[0\]: lacks name/,
    ],
    ['an item that is no object', { containers: ['x'] }, /containers\[0\]: has to be an object/],
    ['an unknown directive', { containers: [{ name: 'a', $patch: 'merge' }] }, /"merge" is neither/],
    ['an unknown directive in a map', { securityContext: { $patch: 1 } }, /securityContext\.\$patch: 1 is/],
    [
      'retained keys that are no list',
      { securityContext: { $retainKeys: 'a' } },
      /\$retainKeys: has to be a list/,
    ],
    [
      'retained keys that lack what is set',
      { securityContext: { $retainKeys: ['a'], b: 1 } },
      /\$retainKeys: has to name b too/,
    ],
    [
      'a removal that is no list',
      { containers: [{ name: 'a', '$deleteFromPrimitiveList/args': 'x' }] },
      /containers\[a\]\.\$deleteFromPrimitiveList\/args: has to be a list/,
    ],
  ];
  for (const [what, overlay, message] of rows) {
    it(what, () => {
      const base = { ...CONTAINERS, securityContext: {} };
      assert.throws(
        () => laid(base, overlay),
        (error) => error instanceof OverlayError && message.test(error.message),
      );
    });
  }
});

describe('an overlay of the pods of a kind', () => {
  interface Pod {
    readonly priorityClassName?: string;
    readonly containers: readonly { readonly securityContext?: object }[];
    readonly initContainers?: readonly object[];
  }
  const laidOver = (overlay: object) => overlaid('inference', pod(CONTAINERS), { spec: overlay as never });

  it('is told by rule and field where it touches what is protected', () => {
    const outcome = laidOver({ hostNetwork: true });
    assert.ok('problem' in outcome);
    assert.equal(outcome.problem.reason, 'ProtectedField');
    assert.match(outcome.problem.message, /^template\.spec\.hostNetwork: the operator decides/);
  });

  it('is told where it is no patch', () => {
    const outcome = laidOver({ tolerations: [], imagePullSecrets: [{}] });
    assert.ok('template' in outcome);
    const invalid = overlaid('inference', pod({ imagePullSecrets: [{ name: 'a' }] }), {
      spec: { imagePullSecrets: [{}] },
    });
    assert.deepEqual(invalid, {
      problem: {
        reason: 'InvalidSpec',
        message: 'template.spec.imagePullSecrets[0]: lacks name, by which items of this list are merged',
      },
    });
  });

  it('is laid over the pods otherwise', () => {
    const outcome = laidOver({ priorityClassName: 'p', containers: [{ name: 'a', image: 'j' }] });
    assert.ok('template' in outcome);
    const { priorityClassName, containers } = outcome.template.spec as unknown as Pod;
    assert.equal(priorityClassName, 'p');
    const [{ securityContext: _, ...rest } = {}] = containers;
    assert.deepEqual(rest, { ...CONTAINERS.containers[0], image: 'j' });
  });

  it('brings in nothing by the prototype of a map', () => {
    const hidden = '{"initContainers": [{"name": "x", "securityContext": {"privileged": true}}]}';
    for (const overlay of [`{"__proto__": ${hidden}}`, `{"securityContext": {"__proto__": ${hidden}}}`]) {
      const base = pod({ ...CONTAINERS, securityContext: {} });
      const outcome = overlaid('inference', base, { spec: JSON.parse(overlay) });
      assert.ok('problem' in outcome);
      assert.match(outcome.problem.message, /__proto__: there is no such field/);
    }
  });

  it('confines the containers that it adds, whatever they leave out', () => {
    const outcome = laidOver({
      containers: [{ name: 'plain' }, { name: 'null', securityContext: { allowPrivilegeEscalation: null } }],
      initContainers: [
        { name: 'first', securityContext: { runAsUser: 5, capabilities: { drop: ['NET_RAW'] } } },
      ],
    });
    assert.ok('template' in outcome);
    const { containers, initContainers } = outcome.template.spec as unknown as Pod;
    const confined = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
    for (const { securityContext } of containers) assert.deepEqual(securityContext, confined);
    assert.deepEqual(initContainers, [{ name: 'first', securityContext: { runAsUser: 5, ...confined } }]);
  });
});
