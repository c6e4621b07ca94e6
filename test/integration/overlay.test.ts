/** The overlay of pods against the program whose rules it follows: `kubectl patch --local --type strategic`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { before, it } from 'node:test';
import fc from 'fast-check';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { applyOverlay } from '../../operator/controllers/overlay.ts';

let kubectl = '';
before(async () => {
  const folder = await ensureBinaries(['kubectl'], (line) => process.stderr.write(`${line}\n`));
  kubectl = join(folder, 'kubectl');
});

const NAMES = ['a', 'b', 'c', 'd'] as const;
const VALUES = ['1', '2'] as const;

const name = fc.constantFrom(...NAMES);
const value = fc.constantFrom(...VALUES);
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 4 });
const stringMap = fc.dictionary(name, value, { maxKeys: 3, noNullPrototype: true });

/** Items with different keys: what equal keys within one list mean is not said anywhere. */
const keyed = <T>(key: string, keys: fc.Arbitrary<unknown>, item: fc.Arbitrary<T>) =>
  fc.uniqueArray(
    fc.tuple(keys, item).map(([at, rest]) => ({ ...rest, [key]: at }) as T & Record<string, unknown>),
    { selector: (made) => made[key], maxLength: 3 },
  );

/** A list of a patch: some items take away, and sometimes one says that the list is replaced. */
const patched = <T extends object>(list: fc.Arbitrary<T[]>, key: string) =>
  fc.tuple(list, fc.array(fc.boolean(), { maxLength: 3 }), fc.nat(5)).map(([items, removed, kind]) => {
    const marked = items.map((item, index) =>
      removed[index] ? { [key]: (item as Record<string, unknown>)[key], $patch: 'delete' } : item,
    );
    return kind === 0 ? [{ $patch: 'replace' }, ...marked] : marked;
  });

/** Any of the fields. */
const record = (shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
  fc.record(shape, { requiredKeys: [], noNullPrototype: true });

/** In a patch fields may be null and lists have directives; without a base no field is taken away. */
function podSpec(patch: boolean) {
  const may = <T>(arbitrary: fc.Arbitrary<T>) => (patch ? nullable(arbitrary) : arbitrary);
  const list = <T extends object>(items: fc.Arbitrary<T[]>, key: string) =>
    may(patch ? patched(items, key) : items);
  const map = (content: fc.Arbitrary<object>) =>
    may(
      patch
        ? fc.oneof(
            { arbitrary: content, weight: 4 },
            fc.constantFrom({ $patch: 'delete' }, { $patch: 'replace', a: '9' }),
          )
        : content,
    );
  const env = list(keyed('name', name, record({ value: may(value) })), 'name');
  const ports = list(
    keyed('containerPort', fc.integer({ min: 1, max: 4 }), record({ name: may(name) })),
    'containerPort',
  );
  const mounts = list(keyed('mountPath', name, record({ name, subPath: may(value) })), 'mountPath');
  const container = record({
    image: may(value),
    args: may(fc.array(value, { maxLength: 3 })),
    env,
    ports,
    volumeMounts: mounts,
    resources: may(record({ limits: map(stringMap) })),
    ...(patch
      ? { '$deleteFromPrimitiveList/command': fc.array(value, { maxLength: 2 }) }
      : { command: fc.array(value) }),
  });
  const plainVolume = record({
    emptyDir: may(record({ sizeLimit: may(value) })),
    hostPath: may(record({ path: value })),
  });
  const volume = patch
    ? fc.oneof(
        plainVolume,
        value.map((path) => ({ $retainKeys: ['name', 'hostPath'], hostPath: { path } })),
      )
    : plainVolume;
  return record({
    containers: list(keyed('name', name, container), 'name'),
    initContainers: list(keyed('name', name, container), 'name'),
    volumes: list(keyed('name', name, volume), 'name'),
    imagePullSecrets: list(keyed('name', name, fc.constant({})), 'name'),
    resourceClaims: list(keyed('name', name, record({ resourceClaimName: may(name) })), 'name'),
    topologySpreadConstraints: list(
      keyed('topologyKey', name, record({ maxSkew: fc.integer({ min: 1, max: 3 }) })),
      'topologyKey',
    ),
    hostAliases: list(keyed('ip', name, record({ hostnames: fc.array(name, { maxLength: 2 }) })), 'ip'),
    tolerations: may(fc.array(record({ key: name, effect: value }), { maxLength: 2 })),
    nodeSelector: map(stringMap),
    priorityClassName: may(name),
    affinity: may(
      record({
        nodeAffinity: may(
          record({
            requiredDuringSchedulingIgnoredDuringExecution: may(
              record({
                nodeSelectorTerms: fc.array(record({ matchFields: fc.array(fc.constant({ key: 'k' })) })),
              }),
            ),
          }),
        ),
      }),
    ),
  });
}

type Json = Record<string, unknown>;

const isDirective = (value: unknown) =>
  typeof value === 'object' && value !== null && '$patch' in value && !Array.isArray(value);

/** kubectl leaves null and directives in what it adds whole; the API server has no use for them. */
function withoutRests(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isDirective(item)).map(withoutRests);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, field]) => field !== null && !key.startsWith('$') && !isDirective(field),
  );
  return Object.fromEntries(entries.map(([key, field]) => [key, withoutRests(field)]));
}

function byKubectl(spec: object, overlay: object): Json {
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec };
  const args = ['patch', '--local', '-f', '-', '--type', 'strategic', '-o', 'json'];
  const { status, stdout, stderr } = spawnSync(kubectl, [...args, '-p', JSON.stringify({ spec: overlay })], {
    input: JSON.stringify(pod),
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', KUBECONFIG: '/dev/null' },
  });
  assert.equal(status, 0, stderr);
  return withoutRests(JSON.parse(stdout).spec ?? {}) as Json;
}

it('lays an overlay over a pod as kubectl does', () => {
  fc.assert(
    fc.property(podSpec(false), podSpec(true), (spec, overlay) => {
      const ours = applyOverlay({ spec }, { spec: overlay } as never);
      assert.deepEqual(ours.spec, byKubectl(spec, overlay));
    }),
    { numRuns: 200 },
  );
});
