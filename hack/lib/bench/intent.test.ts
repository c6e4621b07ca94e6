import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../../operator/runtime/object.ts';
import { appliedBy, ownedPart, templateOf } from './intent.ts';

for (const [name, value, fields, expected] of [
  ['a field and not its neighbour', { a: 1, b: 2 }, { 'f:a': {} }, { a: 1 }],
  ['a whole map that is one field', { a: { b: { c: 1 } } }, { 'f:a': {} }, { a: { b: { c: 1 } } }],
  ['a map by its members', { a: { b: 1, c: 2 } }, { 'f:a': { '.': {}, 'f:c': {} } }, { a: { c: 2 } }],
  ['a map without members', { a: { b: 1 } }, { 'f:a': { '.': {} } }, { a: {} }],
  ['a whole list', { a: [1, 2] }, { 'f:a': {} }, { a: [1, 2] }],
  [
    'an item by its keys, and of it the fields',
    [
      { name: 'x', v: 1 },
      { name: 'y', v: 2, w: 3 },
    ],
    { 'k:{"name":"y"}': { '.': {}, 'f:name': {}, 'f:v': {} } },
    [{ name: 'y', v: 2 }],
  ],
  ['an item by its value', ['a', 'b'], { 'v:"b"': {} }, ['b']],
] as const) {
  test(`a field set names ${name}`, () => assert.deepEqual(ownedPart(value, fields), expected));
}

const live = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'probe-cpu',
    namespace: 'bench',
    resourceVersion: '7',
    labels: { 'deepfake-operator.io/revision': '0123456789', theirs: 'x' },
    annotations: { 'deepfake-operator.io/applied-hash': 'abcdefabcd' },
    managedFields: [
      { manager: 'ours', operation: 'Apply', subresource: 'status', fieldsV1: { 'f:status': {} } },
      {
        manager: 'ours',
        operation: 'Apply',
        fieldsV1: {
          'f:metadata': {
            'f:labels': { 'f:deepfake-operator.io/revision': {} },
            'f:annotations': { 'f:deepfake-operator.io/applied-hash': {} },
          },
          'f:spec': { 'f:selector': {} },
        },
      },
    ],
  },
  spec: { clusterIP: '10.96.0.7', selector: { of: 'probe-cpu', model: 'model-007', by: 'sha256-aaaa' } },
  status: {},
} as KubeObject;

test('what a manager applied is its fields, with name and namespace', () => {
  assert.deepEqual(appliedBy(live, 'ours'), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'probe-cpu',
      namespace: 'bench',
      labels: { 'deepfake-operator.io/revision': '0123456789' },
      annotations: { 'deepfake-operator.io/applied-hash': 'abcdefabcd' },
    },
    spec: { selector: { of: 'probe-cpu', model: 'model-007', by: 'sha256-aaaa' } },
  });
});

test('what a manager never applied is an error that names both', () => {
  assert.throws(() => appliedBy(live, 'another'), /Service probe-cpu was not applied by another/);
});

test('a template has placeholders for everything that depends on the owner and its model', () => {
  const owner = { name: 'probe-cpu', uid: 'some-uid', model: 'model-007', digest: 'sha256:aaaa' };
  assert.deepEqual(templateOf(appliedBy(live, 'ours'), owner), {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: '{{name}}',
      namespace: 'bench',
      labels: { 'deepfake-operator.io/revision': '{{revision}}' },
      annotations: { 'deepfake-operator.io/applied-hash': '{{hash}}' },
    },
    spec: { selector: { of: '{{name}}', model: '{{model}}', by: 'sha256-{{digest}}' } },
  });
});
