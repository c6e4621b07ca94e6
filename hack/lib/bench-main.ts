/** The command line of hack/bench: what our programs take, beside a reference in the same run. */
import { parseArgs } from 'node:util';
import { FakeCluster } from './bench/fake-cluster.ts';
import { ensureBenchPrograms } from './bench/programs.ts';
import { machineOf, markdownReport } from './bench/report.ts';
import { type Measurement, runScenario } from './bench/scenario.ts';
import { SUBJECTS, type SubjectName } from './bench/subject.ts';
import { writeJson } from './files.ts';
import { cacheDir } from './paths.ts';
import { formatSeconds, type Report } from './steps.ts';
import { ensureBinaries } from './toolchain.ts';

const USAGE = `usage: hack/bench operator [--sizes 100,500,1000] [--steady SECONDS] [--repairs COUNT] [--out FILE] [--keep]
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

function settings(args: readonly string[]): Settings | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sizes: { type: 'string', default: '100,500,1000' },
      steady: { type: 'string', default: '60' },
      repairs: { type: 'string', default: '120' },
      out: { type: 'string', default: cacheDir('bench', 'operator.json') },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (positionals.length !== 1 || positionals[0] !== 'operator') {
    throw new Error(`name what to measure: operator\n${USAGE}`);
  }
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

async function main(): Promise<void> {
  const chosen = settings(process.argv.slice(2));
  if (!chosen) {
    console.log(USAGE);
    return;
  }
  const begin = performance.now();
  const say = (message: string) => {
    console.log(`${formatSeconds((performance.now() - begin) / 1000).padStart(8)}  ${message}`);
  };
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

try {
  await main();
} catch (error) {
  const { cause } = error instanceof Error ? error : {};
  const why = cause instanceof Error ? `\n  last: ${cause.message}` : '';
  console.error(`\n${error instanceof Error ? error.message : error}${why}`);
  process.exitCode = 1;
}
