/** The command line of hack/test: all set-up, then every kind of test, then one line with the counts. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureArgoOracle } from './argo-oracle.ts';
import {
  CLUSTER_STEP,
  clusterDown,
  clusterIsThere,
  clusterSteps,
  currentCluster,
  PROGRAMS_STEP,
} from './cluster.ts';
import { keepEvidence } from './cluster-evidence.ts';
import type { Counts } from './count-reporter.ts';
import { deploySteps, imagesOfCheckout, OPERATOR_STEP } from './deploy.ts';
import { ensureHostPackages, TEST_NEEDS } from './host-packages.ts';
import { cacheDir, REPOSITORY } from './paths.ts';
import { run } from './process.ts';
import { formatSeconds, type Report, runSteps, type Step, type StepContext } from './steps.ts';
import { ensureTestServers } from './test-servers.ts';
import { CONTROL_PLANE_BINARIES, ensureBinaries } from './toolchain.ts';

const USAGE = `usage: hack/test [--no-cluster] [--keep]
  (no option)   static checks, unit, integration and end-to-end tests, with all set-up
  --no-cluster  leave out the end-to-end tests, which need a whole cluster
  --keep        leave the cluster up that this run started`;

const TEST_TIMEOUT_MS = 400_000;
const logDir = cacheDir('log', 'test');

/** Runs `node --test` on a glob. A failing test does not throw: it counts, and its report is printed. */
async function nodeTests(glob: string, { report, logFile }: StepContext): Promise<Counts> {
  const countsFile = `${logFile}.counts.json`;
  rmSync(countsFile, { force: true });
  const exitCode = await runLogged(
    process.execPath,
    [
      '--test',
      // A test that hangs fails here, with its name, instead of holding up the run.
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      // There is one cluster with one operator, and some of these tests replace it.
      ...(glob.startsWith('test/e2e/') ? ['--test-concurrency=1'] : []),
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      '--test-reporter=./hack/lib/count-reporter.ts',
      `--test-reporter-destination=${countsFile}`,
      glob,
    ],
    logFile,
  );
  const text = existsSync(countsFile) ? readFileSync(countsFile, 'utf8') : '';
  if (text === '') throw new Error(`the test run on ${glob} ended with ${exitCode} and no summary`);
  const counts = JSON.parse(text) as Counts;
  if (counts.passed + counts.failed === 0) throw new Error(`${glob} holds no test`);
  if (counts.failed > 0 || exitCode !== 0) printFailures(readFileSync(logFile, 'utf8'), report);
  return exitCode !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function runLogged(command: string, args: readonly string[], logFile: string): Promise<number> {
  const log = openSync(logFile, 'a');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: REPOSITORY, stdio: ['ignore', log, log] });
    closeSync(log);
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function printFailures(log: string, report: Report): void {
  const from = log.indexOf('failing tests:');
  for (const line of log.slice(Math.max(from, 0)).split('\n').slice(0, 80)) report(line);
}

function testStep(name: string, glob: string, after: readonly string[], totals: Map<string, Counts>): Step {
  return {
    name,
    after,
    remedy: 'the failing test is named above and in the log',
    run: async (context) => {
      const counts = await nodeTests(glob, context);
      totals.set(name, counts);
      return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
    },
  };
}

/** The tests of the pure parts of Python code: unittest prints `Ran N tests` on standard error. */
function pythonTests(name: string, program: string, totals: Map<string, Counts>): Step {
  return {
    name,
    remedy: `${program} test shows the failing test; it needs python3 with venv and the package index`,
    run: async ({ logFile }) => {
      const exitCode = await runLogged(program, ['test'], logFile);
      const log = readFileSync(logFile, 'utf8');
      const ran = Number(/^Ran (\d+) tests?/m.exec(log)?.[1] ?? 0);
      if (ran === 0) throw new Error(`no test ran:\n${log.slice(-1000)}`);
      const bad = [...log.matchAll(/(?:failures|errors)=(\d+)/g)].reduce(
        (sum, match) => sum + Number(match[1]),
        0,
      );
      const failed = exitCode === 0 ? 0 : Math.max(bad, 1);
      totals.set(name, { passed: ran - failed, failed, skipped: 0 });
      return `${ran - failed} passed, ${failed} failed`;
    },
  };
}

function checkSteps(): Step[] {
  const tool = (name: string, script: string, remedy: string): Step => ({
    name,
    remedy,
    run: async ({ logFile }) => {
      const [program = '', ...args] = script.split(' ');
      await run(join(REPOSITORY, 'node_modules/.bin', program), args, { cwd: REPOSITORY, logFile });
      return undefined;
    },
  });
  return [
    tool(
      'format and lint',
      'biome check --error-on-warnings .',
      'npm run format mends what can be mended by itself',
    ),
    tool('generated files', 'node hack/codegen.ts --check', 'npm run codegen, and commit what it writes'),
    tool('types', 'tsc --noEmit', 'the message names file and line'),
    {
      name: PACKAGES_STEP,
      remedy: 'install ffmpeg, openssl, redis-server and prometheus (for promtool), then run this again',
      run: async ({ report, logFile }) => {
        await ensureHostPackages(TEST_NEEDS, report, logFile);
        return Object.values(TEST_NEEDS).join(', ');
      },
    },
  ];
}

const PACKAGES_STEP = 'host packages for tests';
const SERVERS_STEP = 'servers for tests';
const E2E_STEP = 'end-to-end tests';

const serversStep: Step = {
  name: SERVERS_STEP,
  after: [PROGRAMS_STEP],
  remedy: 'check that this machine reaches the Go module proxy',
  run: ({ report }) => ensureTestServers(report),
};

const oracleStep: Step = {
  name: 'arithmetic of argo-rollouts',
  after: [SERVERS_STEP],
  remedy: 'check that this machine reaches the Go module proxy',
  run: ({ report }) => ensureArgoOracle(report),
};

const evidenceStep: Step = {
  name: 'keep evidence',
  remedy: 'hack/test --keep leaves the cluster to look at',
  run: async () => {
    if (!(await clusterIsThere())) return 'no cluster is there';
    const folder = join(logDir, 'cluster');
    rmSync(folder, { recursive: true, force: true });
    await keepEvidence(currentCluster(), folder);
    return `pods, events and logs in ${folder}`;
  },
};

const removeStep: Step = {
  name: 'remove cluster',
  remedy: `hack/cluster down; what ${CLUSTER_STEP} left is named in the log`,
  run: ({ report }) => clusterDown(report),
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { 'no-cluster': { type: 'boolean' }, keep: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const started = performance.now();
  const totals = new Map<string, Counts>();
  const withCluster = !values['no-cluster'];
  const wasThere = withCluster && (await clusterIsThere());
  const checks = checkSteps();
  const unit = testStep(
    'unit tests',
    '{operator,inference,hack}/**/*.test.ts',
    checks.map(({ name }) => name),
    totals,
  );
  const programs: Step[] = withCluster
    ? await clusterSteps({})
    : [
        {
          name: PROGRAMS_STEP,
          remedy: 'check that this machine reaches the release hosts or the Go module proxy',
          run: ({ report }) => ensureBinaries(CONTROL_PLANE_BINARIES, report),
        },
      ];
  const integration = testStep(
    'integration tests',
    'test/integration/**/*.test.ts',
    [PROGRAMS_STEP, PACKAGES_STEP, SERVERS_STEP, oracleStep.name, unit.name],
    totals,
  );
  const deploy = withCluster ? deploySteps(await imagesOfCheckout(), { pullImages: false }) : [];
  const e2e = withCluster
    ? [testStep(E2E_STEP, 'test/e2e/**/*.test.ts', [OPERATOR_STEP, integration.name], totals)]
    : [];
  const failures: unknown[] = [];
  const attempt = async (steps: readonly Step[]) => {
    await runSteps(steps, { logDir }).catch((error: unknown) => failures.push(error));
  };
  await attempt([
    ...checks,
    pythonTests('training tests', 'models/training/run', totals),
    pythonTests('import tests', 'models/import/run', totals),
    unit,
    ...programs,
    serversStep,
    oracleStep,
    integration,
    ...deploy,
    ...e2e,
  ]);
  if (withCluster && (failures.length > 0 || (totals.get(E2E_STEP)?.failed ?? 0) > 0)) {
    await attempt([evidenceStep]);
  }
  if (withCluster && !wasThere && !values.keep) await attempt([removeStep]);
  const sum = (field: keyof Counts) =>
    [...totals.values()].reduce((total, counts) => total + counts[field], 0);
  console.log(`\nTotal ${formatSeconds((performance.now() - started) / 1000)}; logs in ${logDir}`);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  for (const failure of failures) console.error(`\n${failure instanceof Error ? failure.message : failure}`);
  return sum('failed') === 0 && failures.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
