/** The chart as people use it: through helm and kubectl. */
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { CHART } from '../../hack/lib/deploy.ts';
import { run } from '../../hack/lib/process.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';

/** What a program printed: standard output, and both streams as they came. */
interface Printed {
  readonly out: string;
  readonly all: string;
}

/** Runs a program of the toolchain to its end. @throws CommandError */
async function runTool(
  name: 'helm' | 'kubectl',
  args: readonly string[],
  options: { readonly input?: string; readonly kubeconfig?: string } = {},
): Promise<Printed> {
  const { input = '', kubeconfig } = options;
  const binaries = await ensureBinaries([name], (line) => process.stderr.write(`${line}\n`));
  const env = { ...process.env, KUBECONFIG: kubeconfig ?? '/nonexistent' };
  let all = '';
  const onOutput = (text: string) => {
    all += text;
  };
  const out = await run(join(binaries, name), args, { input, env, onOutput });
  return { out, all };
}

/** helm and kubectl towards one cluster. */
export const tools = (kubeconfig: string) => ({
  helm: (args: readonly string[]) => runTool('helm', args, { kubeconfig }),
  kubectl: (args: readonly string[], input = '') => runTool('kubectl', args, { kubeconfig, input }),
});

/** `helm lint` on values. @throws CommandError with what is wrong */
export const lintChart = async (args: readonly string[] = []) =>
  (await runTool('helm', ['lint', CHART, ...args])).all;

/** The manifests of a release named `release` in the namespace `release-ns`. @throws CommandError with helm's message */
export const renderChart = async (args: readonly string[] = []): Promise<string> =>
  (await runTool('helm', ['template', 'release', CHART, '--namespace=release-ns', ...args])).out;

/** One of these manifests; of its content nothing is known. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: manifests of many kinds, read by tests
  readonly [member: string]: any;
}

export async function renderManifests(args: readonly string[] = []): Promise<readonly Manifest[]> {
  const documents = parseAllDocuments(await renderChart(args)) as { toJS(): Manifest | null }[];
  return documents.map((document) => document.toJS()).filter((manifest) => manifest !== null);
}
