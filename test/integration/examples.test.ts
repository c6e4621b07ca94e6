/** The examples of the documentation are taken by a real API server as they stand. */
import { deepEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { run } from '../../hack/lib/process.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { Environment } from './environment.ts';

const EXAMPLES = fileURLToPath(new URL('../../docs/examples/', import.meta.url));

let environment: Environment;
let kubectl: string;
before(async () => {
  environment = await Environment.start();
  const directory = await ensureBinaries(['kubectl'], (line) => process.stderr.write(`${line}\n`));
  kubectl = join(directory, 'kubectl');
});
after(() => environment.stop());

for (const file of readdirSync(EXAMPLES)) {
  it(`${file} is accepted as it stands, unknown fields refused`, async () => {
    const { name: namespace } = await environment.namespace();
    const objects = parseAllDocuments(readFileSync(join(EXAMPLES, file), 'utf8')).map(
      (document) => document.toJS() as { metadata: { name: string } },
    );
    const answer = await run(kubectl, [
      `--kubeconfig=${environment.controlPlane.kubeconfigPath}`,
      ...['create', '--dry-run=server', '--validate=strict', '--warnings-as-errors'],
      ...['-o', 'jsonpath={.metadata.name}{"\\n"}', '-n', namespace, '-f', join(EXAMPLES, file)],
    ]);
    deepEqual(
      answer.trim().split('\n'),
      objects.map(({ metadata }) => metadata.name),
    );
  });
}
