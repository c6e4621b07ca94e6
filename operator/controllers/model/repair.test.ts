import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LABEL } from '../../api/names.ts';
import { aPod, DIGEST, readyStatus } from '../builders.ts';
import type { Pod } from '../kinds.ts';
import { damagedModelKeys, damageOf } from './repair.ts';
import { type Artifact, artifactOf } from './status.ts';

const artifact = artifactOf(readyStatus()) as Artifact;
const words = (model: string) =>
  JSON.stringify({ error: { reason: 'DigestMismatch', model, message: 'a.onnx is not what it was' } });

const serving = (
  changes: {
    exitCode?: number;
    message?: string;
    startedAt?: string;
    digests?: string;
    claimName?: string;
    labels?: Record<string, string>;
    where?: 'state' | 'lastState';
  } = {},
): Pod => {
  const {
    exitCode = 65,
    message = words('m'),
    startedAt = '2026-01-01T00:10:00Z',
    digests = `n=sha256:0,m=${DIGEST}`,
    claimName = 'm-weights',
    labels = { [LABEL.modelDeployment]: 'd' },
    where = 'lastState',
  } = changes;
  const base = aPod({ [where]: { terminated: { exitCode, message, startedAt } } });
  return {
    ...base,
    metadata: { ...base.metadata, labels },
    spec: {
      containers: [{ name: 'inference', env: [{ name: 'MODEL_DIGESTS', value: digests }] }],
      volumes: [{ name: 'models-0', persistentVolumeClaim: { claimName } }],
    },
  };
};

describe('a pod that ended', () => {
  const rows: [string, Pod, string[]][] = [
    ['for a damaged package', serving(), ['ns/m']],
    ['so just now', serving({ where: 'state' }), ['ns/m']],
    ['otherwise', serving({ exitCode: 1 }), []],
    ['without last words', serving({ message: '' }), []],
    ['with other words', serving({ message: '{"error":{"reason":"R","message":"m"}}' }), []],
    ['and serves no ModelDeployment', serving({ labels: {} }), []],
  ];
  for (const [what, pod, keys] of rows) {
    it(`${what} is known to concern ${keys.join() || 'no model'}`, () => {
      assert.deepEqual(damagedModelKeys(pod), keys);
    });
  }
});

describe('damage', () => {
  const verifiedAt = '2026-01-01T00:09:00Z';
  const rows: [string, Pod[], string | undefined, boolean][] = [
    ['of the package that is served', [serving()], verifiedAt, true],
    ['of one that was verified at an unknown time', [serving()], undefined, true],
    ['found before the package was fetched again', [serving()], '2026-01-01T00:10:00Z', false],
    ['of another package', [serving({ digests: 'm=sha256:0' })], verifiedAt, false],
    ['on another claim', [serving({ claimName: 'other' })], verifiedAt, false],
    ['of another model', [serving({ message: words('n') })], verifiedAt, false],
    ['of one of several pods', [serving({ digests: 'm=sha256:0' }), serving()], verifiedAt, true],
  ];
  for (const [what, pods, since, expected] of rows) {
    it(`${what} counts: ${expected}`, () => {
      const problem = damageOf('m', artifact, pods, since);
      const told = {
        reason: 'PackageDamaged',
        message: 'pod pod: DigestMismatch: a.onnx is not what it was',
      };
      assert.deepEqual(problem, expected ? told : undefined);
    });
  }
});
