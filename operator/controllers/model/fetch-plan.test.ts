import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { V1Job } from '@kubernetes/client-node';
import { type DeepfakeModelSpec, deepfakeModelSpec, MODEL_NAME_MAX } from '../../api/deepfake-model.ts';
import type { Raw } from '../../runtime/object.ts';
import { aModel, DIGEST, IMAGE } from '../builders.ts';
import { bytesOf, claimOf, desiredClaim, desiredJob, fetchId, jobName } from './fetch-plan.ts';

const spec = (fields: object): DeepfakeModelSpec => deepfakeModelSpec.parse(fields);
const builtin = { source: { builtin: { name: 'b' } } };
const http = { source: { http: { url: 'https://h/m.tar.gz' } }, digest: DIGEST };
const id = (
  fields: object,
  uid = 'u1',
  image: { name: string; pullPolicy: 'Always' } | typeof IMAGE = IMAGE,
) => {
  const parsed = spec(fields);
  return fetchId(parsed, claimOf('m', parsed), uid, image);
};

describe('another fetch is needed when', () => {
  const rows: [string, string, string, boolean][] = [
    ['nothing changed', id(builtin), id(builtin), false],
    ['the digest changed', id(http), id({ ...http, digest: `sha256:${'b'.repeat(64)}` }), true],
    ['the address changed', id(http), id({ ...http, source: { http: { url: 'https://h/n.tar.gz' } } }), true],
    ['the version changed', id(builtin), id({ ...builtin, version: '1.0.0' }), true],
    ['the claim was made anew', id(builtin), id(builtin, 'u2'), true],
    [
      'a claim of the user was made anew',
      id({ ...builtin, storage: { pvc: { existingClaim: 'c' } } }),
      id({ ...builtin, storage: { pvc: { existingClaim: 'c' } } }, 'u2'),
      false,
    ],
    ['the claim grew', id(builtin), id({ ...builtin, storage: { pvc: { size: '9Gi' } } }), false],
    [
      'the image changed under a floating builtin',
      id(builtin),
      id(builtin, 'u1', { name: 'i:2', pullPolicy: 'Always' }),
      true,
    ],
    [
      'the image changed under a pinned builtin',
      id({ ...builtin, digest: DIGEST }),
      id({ ...builtin, digest: DIGEST }, 'u1', { name: 'i:2', pullPolicy: 'Always' }),
      false,
    ],
    ['the image changed under http', id(http), id(http, 'u1', { name: 'i:2', pullPolicy: 'Always' }), false],
  ];
  for (const [what, before, after, expected] of rows) {
    it(`${what}: ${expected}`, () => assert.equal(before !== after, expected));
  }
});

it('names of Jobs leave room for a pod suffix at the longest model name', () => {
  assert.ok(`${jobName('m'.repeat(MODEL_NAME_MAX), 'a'.repeat(10), 1_000)}`.length <= 63);
});

it('a Job meets the restricted standard, is never retried by Kubernetes, and writes nowhere but to the claim and /tmp', () => {
  const parsed = spec(http);
  const job = desiredJob(aModel(), parsed, {
    claim: claimOf('m', parsed),
    id: 'x',
    attempt: 2,
    image: { ...IMAGE, pullSecrets: ['r'] },
  }) as Raw<V1Job>;
  const pod = job.spec?.template.spec;
  const [container] = pod?.containers ?? [];
  assert.equal(job.metadata.name, 'm-fetch-x-2');
  assert.equal(job.spec?.backoffLimit, 0);
  assert.equal(pod?.restartPolicy, 'Never');
  assert.deepEqual(pod?.imagePullSecrets, [{ name: 'r' }]);
  assert.equal(pod?.automountServiceAccountToken, false);
  assert.equal(pod?.securityContext?.runAsNonRoot, true);
  assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault');
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.deepEqual(
    container?.volumeMounts?.map(({ mountPath }) => mountPath),
    ['/models', '/tmp'],
  );
  assert.equal(pod?.volumes?.find(({ name }) => name === 'tmp')?.emptyDir?.sizeLimit, '64Mi');
  assert.deepEqual(container?.args, [
    '--source={"http":{"url":"https://h/m.tar.gz"}}',
    '--destination=/models',
    `--digest=${DIGEST}`,
    '--max-bytes=1073741824',
  ]);
});

it('a claim that is retained or in use has no owner', () => {
  const owners = (retain: boolean, used = false) => {
    const parsed = spec({ ...builtin, storage: { pvc: { retain } } });
    return desiredClaim(aModel(), parsed, claimOf('m', parsed), used).metadata.ownerReferences?.length;
  };
  assert.deepEqual([owners(false), owners(true), owners(false, true)], [1, 0, 0]);
});

describe('bytes of a quantity', () => {
  for (const [quantity, bytes] of [
    ['1', 1],
    ['1Ki', 1024],
    ['100Mi', 104_857_600],
    ['1.5Gi', 1_610_612_736],
    ['2G', 2e9],
    ['3k', 3000],
    ['1e3', 1000],
    ['1500m', 1],
  ] as const) {
    it(quantity, () => assert.equal(bytesOf(quantity), bytes));
  }
});
