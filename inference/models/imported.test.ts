/** What models/import writes against what the pod reads. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { z } from 'zod';
import { parseManifest } from './manifest.ts';
import { pipelineSchema } from './pipeline-parameters.ts';

const importer = join(import.meta.dirname, '..', '..', 'models', 'import');
const { stdout } = await promisify(execFile)('python3', ['-m', 'importer.examples'], { cwd: importer });
const manifests = z
  .array(z.looseObject({ name: z.string(), pipeline: z.looseObject({ type: z.string() }) }))
  .min(8)
  .parse(JSON.parse(stdout));
const families = new Set<string>(pipelineSchema.options.map((option) => option.shape.type.value));

describe('the manifest of an import', () => {
  for (const manifest of manifests) {
    const { name, pipeline } = manifest;
    const unknown = families.has(pipeline.type) ? false : `the pod has no family ${pipeline.type}`;
    test(`of ${name} is valid`, { skip: unknown }, () => {
      assert.equal(parseManifest(stringify(manifest)).name, name);
    });
  }
});
