/** `hack/bench operator`: the operator beside a controller-runtime reference, each on a control plane of its own. */
import { parseArgs } from 'node:util';
import { writeJson } from '../files.ts';
import { cacheDir } from '../paths.ts';
import type { Report } from '../steps.ts';
import { ensureBinaries } from '../toolchain.ts';
import { FakeCluster } from './fake-cluster.ts';
import { ensureBenchPrograms } from './programs.ts';
import { machineOf, markdownReport } from './report.ts';
import { type Measurement, runScenario } from './scenario.ts';
import { SUBJECTS, type SubjectName } from './subject.ts';

export const OPERATOR_USAGE = `usage: hack/bench operator [--sizes 100,500,1000] [--steady SECONDS] [--repairs COUNT] [--out FILE] [--keep]
  operator    the operator and a controller-runtime reference, each with so many ModelDeployments on a real control plane
              with fake nodes; prints a table and writes all figures as JSON
  --sizes     numbers of ModelDeployments, ascending (default 100,500,1000)
  --steady    how long requests are counted at rest (default 60)
  --repairs   how many children are damaged (default 120)
  --out       the JSON file (default ${cacheDir('bench', 'operator.json')})
  --keep      keep data and logs of the control planes`;

const CONTROL_PLANE = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;

interface Settings {
  readonly sizes: readonly number[];
  readonly steadySeconds: number;
  readonly repairs: number;
  readonly out: string;
  readonly keep: boolean;
}

function settings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '100,500,1000' },
      steady: { type: 'string', default: '60' },
      repairs: { type: 'string', default: '120' },
      out: { type: 'string', default: cacheDir('bench', 'operator.json') },
      keep: { type: 'boolean', default: false },
    },
  });
  const sizes = values.sizes.split(',').map((text) => wholeNumber('--sizes', text, 5000));
  if (sizes.some((size, index) => size <= (sizes[index - 1] ?? 0))) throw new Error('--sizes has to ascend');
  return {
    sizes,
    steadySeconds: wholeNumber('--steady', values.steady, 3600),
    repairs: wholeNumber('--repairs', values.repairs, 10_000),
    out: values.out,
    keep: values.keep,
  };
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new Error(`${option}: ${text} is no whole number from 1 to ${max}`);
  }
  return value;
}

async function measure(
  subject: SubjectName,
  size: number,
  programs: { readonly controlPlane: string; readonly bench: string },
  { steadySeconds, repairs, keep }: Settings,
  report: Report,
): Promise<Measurement> {
  const cluster = await FakeCluster.start({
    controlPlanePrograms: programs.controlPlane,
    benchPrograms: programs.bench,
    deployments: size,
  });
  let failed = true;
  try {
    const benchPrograms = programs.bench;
    const measured = await runScenario({
      cluster,
      subject,
      size,
      steadySeconds,
      repairs,
      benchPrograms,
      report,
    });
    failed = false;
    return measured;
  } finally {
    await cluster.stop(keep || failed);
    if (keep || failed) report(`logs in ${cluster.logDirectory}`);
  }
}

/** Both have to have made the same, or the figures compare nothing. */
function checkChildren(measurements: readonly Measurement[]): void {
  const [first, ...others] = measurements.map(({ children }) => JSON.stringify(children));
  if (others.some((other) => other !== first)) {
    throw new Error(`the programs left different children: ${[first, ...others].join(' and ')}`);
  }
}

export async function benchOperator(args: readonly string[], say: Report): Promise<void> {
  const chosen = settings(args);
  const programs = {
    controlPlane: await ensureBinaries(CONTROL_PLANE, say),
    bench: await ensureBenchPrograms(say),
  };
  const machine = machineOf();
  const all: Measurement[] = [];
  for (const size of chosen.sizes) {
    const ofSize: Measurement[] = [];
    for (const subject of SUBJECTS) {
      const report = (message: string) => say(`${subject} ${size}: ${message}`);
      ofSize.push(await measure(subject, size, programs, chosen, report));
      writeJson(chosen.out, { machine, measurements: [...all, ...ofSize] });
    }
    checkChildren(ofSize);
    all.push(...ofSize);
  }
  console.log(`\n${markdownReport(machine, all)}`);
  say(`all figures: ${chosen.out}`);
}
