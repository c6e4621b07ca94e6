/** Writes what is generated from the sources. Run as `npm run codegen`; with --check nothing is written. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { configurationReference } from '../inference/config/reference.ts';
import { admissionFile } from '../operator/api/admission.ts';
import { crdFiles } from '../operator/api/crd-files.ts';
import { CLUSTER_RULES, type PolicyRule, RECONCILE_RULES } from '../operator/rbac.ts';
import { evaluationFiles } from './lib/bench/detectors/document.ts';
import { describe } from './lib/bench/detectors/measurements.ts';

const ROOT = join(import.meta.dirname, '..');
const HEADER = '# Generated from operator/rbac.ts by "npm run codegen".\n';

function rulesFile(rules: readonly PolicyRule[]): string {
  return HEADER + stringify(rules, { aliasDuplicateObjects: false });
}

/** Path from the repository's root, and text. */
const files: readonly (readonly [string, string])[] = [
  ...[...crdFiles()].map(([name, text]) => [`crds/${name}`, text] as const),
  ['charts/deepfake-operator/files/rules.yaml', rulesFile(RECONCILE_RULES)],
  ['charts/deepfake-operator/files/cluster-rules.yaml', rulesFile(CLUSTER_RULES)],
  ['charts/deepfake-operator/files/admission.yaml', admissionFile()],
  ['docs/configuration.md', configurationReference()],
  ...evaluationFiles(describe(ROOT)),
];

for (const [path, text] of files) {
  const target = join(ROOT, path);
  const current = existsSync(target) ? await readFile(target, 'utf8') : undefined;
  if (current === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${path} is not what its source says: run npm run codegen`);
    process.exitCode = 1;
    continue;
  }
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, text);
  console.log(path);
}
