import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DeepfakeModelSpec, deepfakeModelSpec, MODEL_NAME_MAX } from '../../api/deepfake-model.ts';
import { DIGEST, IMAGE } from '../builders.ts';
import { claimOf } from './claim-plan.ts';
import { fetchId, jobName } from './fetch-plan.ts';

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
