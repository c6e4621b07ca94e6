/** The command line of hack/demo: from an empty machine to verdicts served by a cluster, or by one local process. */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CLUSTER_STEP, type Cluster, clusterDown, clusterSteps, currentCluster } from './cluster.ts';
import { analyze, type Endpoint, formatReport, type Result, selectMetrics } from './demo/analyze.ts';
import { startLocalServer } from './demo/local-server.ts';
import {
  type OpenEndpoint,
  openEndpoint,
  QUICKSTART,
  quickstartManifests,
  SERVED_BY,
  servingPods,
  waitUntilServing,
} from './demo/quickstart.ts';
import { SAMPLES } from './demo/samples.ts';
import {
  checkNothingIsTakenOver,
  deploySteps,
  type Images,
  imagesOfCheckout,
  OPERATOR_NAMESPACE,
  OPERATOR_STEP,
  RELEASE,
  uninstallOperator,
} from './deploy.ts';
import { ensureExtendedResource, offeredResource } from './extended-resource.ts';
import { ensureHostPackages, SERVE_NEEDS } from './host-packages.ts';
import { apply, ensureNamespace } from './kubectl.ts';
import { MARK, removeMarkedNamespace } from './ownership.ts';
import { cacheDir } from './paths.ts';
import { formatSeconds, runSteps, type Step, type StepTiming } from './steps.ts';

const NAMESPACE = 'deepfake-demo';
const GPU_DEPLOYMENT = SERVED_BY.image;

const USAGE = `usage: hack/demo [--no-cluster | --down] [--context NAME --operator-image REF --inference-image REF]
  (no option)    set up a cluster, build both images, install the operator, serve the shipped detectors, analyse four files
  --context      use this context of your kubeconfig; its nodes have to be able to pull the two images that you name
  --no-cluster   the same detectors in one process on this machine
  --down         remove everything that the demo started`;

const logDir = cacheDir('log', 'demo');

interface Outcome {
  readonly results: Result[];
  readonly metrics: string;
}

async function analyzeAll(
  endpointOf: (modality: 'image' | 'audio') => Endpoint,
  report: (line: string) => void,
): Promise<Outcome> {
  const results: Result[] = [];
  for (const sample of SAMPLES) {
    const result = await analyze(endpointOf(sample.modality), sample);
    report(`${sample.path.split('/').at(-1)}: ${result.answer.data.verdict}`);
    results.push(result);
  }
  const urls = [...new Set(SAMPLES.map(({ modality }) => endpointOf(modality).url))];
  const expositions = await Promise.all(
    urls.map(async (url) => (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) })).text()),
  );
  return { results, metrics: expositions.map(selectMetrics).join('\n') };
}

function printOutcome({ results, metrics }: Outcome, timings: readonly StepTiming[], next: string): void {
  const width = Math.max(...timings.map(({ name }) => name.length));
  const times = timings.map(({ name, seconds }) => `  ${name.padEnd(width)}  ${formatSeconds(seconds)}`);
  console.log(`\nVerdicts\n${formatReport(results)}`);
  console.log(`\nMetrics that the pods export\n${metrics}`);
  console.log(`\nTime per step (steps that do not need each other run side by side)\n${times.join('\n')}`);
  console.log(`\nNext\n${next}`);
}

const analysisRemedy = 'the server says what is wrong with a file; its own log is named in the next commands';

async function demoWithoutCluster(): Promise<void> {
  const started = performance.now();
  const apiKey = randomBytes(16).toString('hex');
  let server: Awaited<ReturnType<typeof startLocalServer>> | undefined;
  let outcome: Outcome | undefined;
  const steps: Step[] = [
    {
      name: 'host packages',
      remedy: 'install ffmpeg, then run this again',
      run: async ({ report, logFile }) => {
        await ensureHostPackages(SERVE_NEEDS, report, logFile);
        return Object.values(SERVE_NEEDS).join(', ');
      },
    },
    {
      name: 'local server',
      after: ['host packages'],
      remedy: 'npm run serve shows the same start in this terminal',
      run: async ({ logFile }) => {
        server = await startLocalServer(apiKey, logFile);
        return `ready at ${server.url}`;
      },
    },
    {
      name: 'analyse',
      after: ['local server'],
      remedy: analysisRemedy,
      run: async ({ report }) => {
        const endpoint = server;
        if (endpoint === undefined) throw new Error('the server is not there');
        outcome = await analyzeAll(() => endpoint, report);
        return `${outcome.results.length} files`;
      },
    },
  ];
  try {
    const timings = await runSteps(steps, { logDir });
    if (outcome) {
      printOutcome(
        outcome,
        timings,
        [
          '  PORT=8080 API_KEY=change-me npm run serve',
          '  curl -H "X-API-Key: change-me" -F media=@test/fixtures/media/photograph-real.jpg http://127.0.0.1:8080/analyze',
          '  hack/demo      the same on a real Kubernetes cluster',
        ].join('\n'),
      );
    }
    console.log(`\nTotal ${formatSeconds((performance.now() - started) / 1000)}`);
  } finally {
    await server?.stop();
  }
}

/** On a cluster of the user's: nothing that the demo did not make is changed. */
const ownershipStep: Step = {
  name: 'ownership',
  after: [CLUSTER_STEP],
  remedy: 'hack/cluster down forgets this context; take a cluster without the operator',
  run: async () => {
    await checkNothingIsTakenOver(currentCluster(), NAMESPACE);
    return "nothing of somebody else's is in the way";
  },
};

function quickstartSteps(images: Images, onOutcome: (outcome: Outcome) => void): Step[] {
  const cluster = (): Cluster => currentCluster();
  let gpuFor: string | undefined;
  const look = `kubectl -n ${NAMESPACE} get deepfakemodels,modeldeployments,pods; kubectl -n ${NAMESPACE} get events`;
  return [
    {
      name: 'gpu',
      // Late: a kubelet that has just started drops what it did not report itself.
      after: [OPERATOR_STEP],
      remedy:
        'the nodes may not be patched by you: run it with rights on nodes/status, or on a node with a GPU',
      run: async () => {
        if (cluster().provider === 'context') {
          const offer = await offeredResource(cluster().kubectl);
          gpuFor = offer && GPU_DEPLOYMENT;
          return offer
            ? `node ${offer.node} offers ${offer.count} nvidia.com/gpu`
            : 'no node offers nvidia.com/gpu: no pod asks for one';
        }
        gpuFor = GPU_DEPLOYMENT;
        const { added, node, count } = await ensureExtendedResource(cluster().kubectl);
        return added
          ? `no node offers nvidia.com/gpu: node ${node} now offers ${count} that stand for no device, so that GPU pods are scheduled`
          : `node ${node} offers ${count} nvidia.com/gpu`;
      },
    },
    {
      name: 'apply',
      after: ['gpu'],
      remedy: `the API server's message says which field is wrong in ${QUICKSTART}`,
      run: async () => {
        await ensureNamespace(cluster(), NAMESPACE, MARK);
        await apply(cluster(), NAMESPACE, quickstartManifests(gpuFor));
        const gpu = gpuFor === undefined ? '' : `; ${gpuFor} also asks for one nvidia.com/gpu`;
        return `${QUICKSTART} in namespace ${NAMESPACE}${gpu}`;
      },
    },
    {
      name: 'ready',
      after: ['apply'],
      remedy: look,
      run: ({ report, signal }) => waitUntilServing(cluster(), NAMESPACE, images.inference, report, signal),
    },
    {
      name: 'analyse',
      after: ['ready'],
      remedy: analysisRemedy,
      run: async ({ report }) => {
        const image = await openEndpoint(cluster(), NAMESPACE, SERVED_BY.image);
        // An open one would keep this process from ending.
        let audio: OpenEndpoint | undefined;
        try {
          const other = await openEndpoint(cluster(), NAMESPACE, SERVED_BY.audio);
          audio = other;
          onOutcome(await analyzeAll((modality) => (modality === 'image' ? image : other), report));
        } finally {
          image.close();
          audio?.close();
        }
        return `${SAMPLES.length} files`;
      },
    },
  ];
}

async function demoOnCluster(context: string | undefined, given: Partial<Images>): Promise<void> {
  const started = performance.now();
  if (context !== undefined && !(given.operator && given.inference)) {
    throw new Error(
      '--context needs --operator-image and --inference-image: images that the nodes of your cluster can pull ' +
        '(docker build -f Dockerfile.operator, -f Dockerfile.inference; docker push)',
    );
  }
  const images = { ...(await imagesOfCheckout()), ...given };
  let outcome: Outcome | undefined;
  const yours = context !== undefined;
  const steps = [
    ...(await clusterSteps({ context })),
    ...(yours ? [ownershipStep] : []),
    ...deploySteps(images, { pullImages: yours, ...(yours && { after: ownershipStep.name }) }),
    ...quickstartSteps(images, (value) => {
      outcome = value;
    }),
  ];
  const timings = await runSteps(steps, { logDir });
  if (outcome === undefined) throw new Error('nothing was analysed');
  const pods = await servingPods(currentCluster(), NAMESPACE);
  const gpuPods = pods.filter(({ spec }) => spec.containers[0].resources?.limits?.['nvidia.com/gpu']);
  printOutcome(
    outcome,
    timings,
    [
      '  eval "$(hack/cluster env)"',
      `  kubectl -n ${NAMESPACE} get deepfakemodels,modeldeployments,pods,hpa`,
      `  kubectl -n ${NAMESPACE} describe modeldeployment ${SERVED_BY.image}`,
      `  kubectl -n ${OPERATOR_NAMESPACE} logs deployment/${RELEASE}`,
      `  kubectl -n ${NAMESPACE} port-forward service/${SERVED_BY.image} 8080:80 &`,
      `  KEY=$(kubectl -n ${NAMESPACE} get secret ${SERVED_BY.image}-api-key -o go-template='{{index .data "api-key" | base64decode}}')`,
      '  curl -H "X-API-Key: $KEY" -F media=@YOUR-PHOTO.jpg http://127.0.0.1:8080/analyze',
      '  hack/demo --down',
    ].join('\n'),
  );
  console.log(
    `\n${gpuPods.length} of ${pods.length} serving pods were scheduled with an nvidia.com/gpu limit.`,
  );
  console.log(`Total ${formatSeconds((performance.now() - started) / 1000)}`);
}

async function down(): Promise<void> {
  const remove: Step = {
    name: 'remove',
    remedy: 'run it again; what is still there is named in the log',
    run: async ({ report }) => {
      const cluster = clusterOrNone();
      if (cluster?.provider === 'context') {
        await removeMarkedNamespace(cluster, NAMESPACE);
        await uninstallOperator(cluster, report);
      }
      return clusterDown(report);
    },
  };
  await runSteps([remove], { logDir });
}

function clusterOrNone(): Cluster | undefined {
  try {
    return currentCluster();
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'no-cluster': { type: 'boolean' },
      down: { type: 'boolean' },
      context: { type: 'string' },
      'operator-image': { type: 'string' },
      'inference-image': { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) console.log(USAGE);
  else if (values.down) await down();
  else if (values['no-cluster']) await demoWithoutCluster();
  else {
    const { 'operator-image': operator, 'inference-image': inference } = values;
    await demoOnCluster(values.context, { ...(operator && { operator }), ...(inference && { inference }) });
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
