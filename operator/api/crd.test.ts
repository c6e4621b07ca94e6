import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { customResourceDefinition } from './crd.ts';
import { crdFiles } from './crd-files.ts';
import { deepfakeModelDefinition } from './deepfake-model.ts';
import { modelDeploymentDefinition } from './model-deployment.ts';

const folder = join(import.meta.dirname, '../../crds');

it('the committed definitions are what the sources generate: run "npm run codegen"', async () => {
  const files = crdFiles();
  assert.deepEqual((await readdir(folder)).sort(), [...files.keys()].sort());
  for (const [name, text] of files) assert.equal(await readFile(join(folder, name), 'utf8'), text, name);
});

describe('every schema', () => {
  type Schema = Record<string, unknown>;
  /** Every subschema with its path. */
  function* walk(schema: Schema, path: string): Generator<[string, Schema]> {
    yield [path, schema];
    for (const [name, child] of Object.entries((schema['properties'] ?? {}) as Schema)) {
      yield* walk(child as Schema, `${path}.${name}`);
    }
    if (schema['items']) yield* walk(schema['items'] as Schema, `${path}[]`);
    if (schema['additionalProperties']) yield* walk(schema['additionalProperties'] as Schema, `${path}{}`);
  }
  for (const definition of [deepfakeModelDefinition, modelDeploymentDefinition]) {
    const { spec } = customResourceDefinition(definition) as {
      spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
    };
    const parts = [...walk(spec.versions[0]?.schema.openAPIV3Schema ?? {}, definition.kind)];

    it(`of ${definition.kind} is structural: typed, without unions`, () => {
      for (const [path, schema] of parts) {
        assert.ok(schema['type'] !== undefined || schema['x-kubernetes-int-or-string'] === true, path);
        for (const keyword of ['anyOf', 'oneOf', 'allOf', '$ref', '$schema'])
          assert.equal(schema[keyword], undefined, path);
      }
    });

    it(`of ${definition.kind} reads as documentation: every field says what it is`, () => {
      // The API server describes these itself.
      const known = ['apiVersion', 'kind', 'metadata'].map((field) => `${definition.kind}.${field}`);
      for (const [path, schema] of parts) {
        const { description } = schema as { description?: string };
        if (!known.includes(path)) assert.ok(description && description.length >= 8, path);
      }
    });

    it(`of ${definition.kind} bounds every list and string that users write`, () => {
      for (const [path, schema] of parts.filter(([at]) => at.includes('.spec'))) {
        if (schema['type'] === 'array') assert.ok(schema['maxItems'] !== undefined, path);
        if (schema['type'] === 'string') assert.ok(schema['maxLength'] ?? schema['enum'], path);
        if (schema['additionalProperties']) assert.ok(schema['maxProperties'] !== undefined, path);
      }
    });
  }
});
