/** Writes what is generated from the sources: crds/*.yaml from operator/api. Run as `npm run codegen`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crdFiles } from '../operator/api/crd-files.ts';

const folder = join(import.meta.dirname, '..', 'crds');
await mkdir(folder, { recursive: true });
for (const [name, text] of crdFiles()) {
  await writeFile(join(folder, name), text);
  console.log(`crds/${name}`);
}
