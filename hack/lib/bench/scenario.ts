/** One program at one size, on a cluster of its own: create, rest, damage, restart. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FIELD_MANAGER, LABEL } from '../../../operator/api/names.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
  HPA,
  MODEL_DEPLOYMENT,
  PDB,
  SECRET,
  SERVICE,
} from '../../../operator/controllers/kinds.ts';
import { isControlledBy, type Kind, type KubeObject } from '../../../operator/runtime/object.ts';
import type { Report } from '../steps.ts';
import { eventually, inParallel } from '../waiting.ts';
import { addCounts, type RequestCounts } from './audit.ts';
import { driftRepairs } from './drift.ts';
import { AUTOSCALER_PERIOD_S, type FakeCluster } from './fake-cluster.ts';
import { appliedBy, templateOf } from './intent.ts';
import { histogramBetween, percentile, quantile, type Sample, sumOf } from './metrics-text.ts';
import { Observer } from './observer.ts';
import { machineCpuSeconds, usageOf } from './process-usage.ts';
import { Subject, type SubjectName } from './subject.ts';
import { MODEL_COUNT, modelDeployments, models, NAMESPACE_NAME, probes, VARIANT_LABEL } from './workload.ts';

export interface ScenarioOptions {
  readonly cluster: FakeCluster;
  readonly subject: SubjectName;
  readonly size: number;
  /** How long the program is watched at rest, s. */
  readonly steadySeconds: number;
  /** How many children are damaged. */
  readonly repairs: number;
  /** Folder of the reference. */
  readonly benchPrograms: string;
  readonly report: Report;
}

/** Times in ms, memory in MiB, CPU in s. */
export interface Measurement {
  readonly subject: SubjectName;
  readonly size: number;
  /** The operator's own first step, before either program is measured: 50 models fetched and verified. */
  readonly modelsReadyMs: number;
  readonly creation: {
    /** The API server has accepted every ModelDeployment. */
    readonly submittedMs: number;
    readonly availableMs: number;
    readonly requests: RequestCounts;
    readonly passes: number;
    readonly reconcileP50Ms: number | undefined;
    readonly reconcileP99Ms: number | undefined;
    readonly cpuSeconds: number;
    /** Of the control plane and kwok. */
    readonly clusterCpuSeconds: number;
    /** What programs that are not the bench's took of all cores meanwhile, 0..1: the rest of the figures is as good as this is low. */
    readonly othersShare: number;
  };
  readonly steady: {
    readonly seconds: number;
    readonly requests: RequestCounts;
    readonly passes: number;
    readonly cpuSeconds: number;
    readonly rssMiB: number;
  };
  readonly drift: {
    readonly repairs: number;
    readonly p50Ms: number | undefined;
    readonly p99Ms: number | undefined;
    readonly requests: RequestCounts;
  };
  readonly restart: {
    readonly readyMs: number;
    /** Every ModelDeployment was looked at once. */
    readonly syncedMs: number;
    readonly cpuSeconds: number;
    readonly requests: RequestCounts;
  };
  readonly peakRssMiB: number;
  /** Children in the namespace at the end, by kind. */
  readonly children: Readonly<Record<string, number>>;
}

const CHILD_KINDS: readonly Kind[] = [SERVICE, PDB, SECRET, DEPLOYMENT, HPA] as readonly Kind[];
/** Generous: a machine that others load as well takes many times as long as an idle one. */
const CREATION_MS = 300_000;
const CREATION_MS_EACH = 1_500;

/** A program that wrote nothing for this long has done what it had to do. */
const QUIET_MS = 5_000;
/** The same after creation, when autoscalers still find out that there are no metrics. */
const LONG_QUIET_MS = 1.5 * AUTOSCALER_PERIOD_S * 1000;

export async function runScenario(options: ScenarioOptions): Promise<Measurement> {
  const { cluster, size, report } = options;
  const { modelsReadyMs, childrenFile } = await prepare(options);
  const start = () => startSubject(options, childrenFile);
  let subject = await start();
  const observer = new Observer(cluster.client);
  await observer.start();
  try {
    await subject.untilReady();
    const creation = await create(options, subject, observer);
    report(
      `${size} available after ${(creation.availableMs / 1000).toFixed(1)} s; at rest for ${options.steadySeconds} s`,
    );
    const steady = await rest(options, subject);
    const drift = await damage(options, observer);
    report(`${drift.repairs} damages repaired, p50 ${drift.p50Ms?.toFixed(0)} ms; restarting`);
    const { peakRssMiB } = subject.usage();
    await subject.stop();
    cluster.audit.take();
    subject = await start();
    const readyMs = await subject.untilReady();
    const syncedMs = await subject.untilWorked(size);
    const { cpuSeconds } = subject.usage();
    const restart = { readyMs, syncedMs, cpuSeconds, requests: cluster.audit.take() };
    const children = await countChildren(cluster);
    return {
      subject: options.subject,
      size,
      modelsReadyMs,
      creation,
      steady,
      drift,
      restart,
      peakRssMiB,
      children,
    };
  } finally {
    await observer.stop();
    await subject.stop();
  }
}

async function startSubject(
  { cluster, subject, benchPrograms }: ScenarioOptions,
  childrenFile: string,
): Promise<Subject> {
  return Subject.start({
    name: subject,
    kubeconfig: await cluster.controllerKubeconfig(),
    directory: cluster.logDirectory,
    reference: { programs: benchPrograms, childrenFile },
  });
}

/**
 * The operator fetches the models and serves one ModelDeployment of each variant, from whose children the reference's
 * templates are read. Then these go, and so does this operator process: either program begins with the same cluster.
 */
async function prepare({ cluster, report }: ScenarioOptions) {
  const { client } = cluster;
  const kubeconfig = await cluster.controllerKubeconfig();
  const operator = await Subject.start({ name: 'operator', kubeconfig, directory: cluster.logDirectory });
  try {
    await operator.untilReady();
    const startedAt = performance.now();
    await inParallel(models(), (model) => client.create(DEEPFAKE_MODEL, model));
    await eventually(
      `${MODEL_COUNT} models are ready`,
      async () => (await listAll(cluster, DEEPFAKE_MODEL)).every(({ status }) => status?.phase === 'Ready'),
      180_000,
      200,
    );
    const modelsReadyMs = performance.now() - startedAt;
    report(`${MODEL_COUNT} models ready after ${(modelsReadyMs / 1000).toFixed(1)} s`);
    const childrenFile = join(cluster.folder, 'children.json');
    writeFileSync(childrenFile, JSON.stringify(await captureTemplates(cluster), null, 1));
    return { modelsReadyMs, childrenFile };
  } finally {
    await operator.stop();
  }
}

async function captureTemplates(cluster: FakeCluster): Promise<Record<string, KubeObject[]>> {
  const { client } = cluster;
  const templates: Record<string, KubeObject[]> = {};
  for (const probe of probes()) await client.create(MODEL_DEPLOYMENT, probe);
  for (const { metadata } of probes()) {
    const owner = await eventually(
      `${metadata.name} is healthy`,
      async () => {
        const found = await client.get(MODEL_DEPLOYMENT, metadata);
        return found.status?.phase === 'Healthy' || found.status?.availableReplicas === 1 ? found : undefined;
      },
      60_000,
    );
    const { uid = '', labels = {} } = owner.metadata;
    const model = owner.spec.models[0]?.name ?? '';
    const { status } = await client.get<DeepfakeModel>(DEEPFAKE_MODEL, { ...metadata, name: model });
    const context = { name: metadata.name, uid, model, digest: status?.digest ?? '' };
    const children = await childrenOf(cluster, owner);
    const intents = children.map((child) =>
      child.kind === 'Secret' ? created(child) : appliedBy(child, FIELD_MANAGER),
    );
    templates[labels[VARIANT_LABEL] ?? ''] = intents.map((intent) => templateOf(intent, context));
  }
  for (const { metadata } of probes()) await client.delete(MODEL_DEPLOYMENT, metadata);
  const gone = async () => Object.values(await countChildren(cluster)).every((count) => count === 0);
  await eventually('the first children are gone', gone, 60_000, 200);
  return templates;
}

/** What a create sent, which no field manager tells. */
function created(live: KubeObject): KubeObject {
  const { name, namespace = '', labels = {}, ownerReferences = [] } = live.metadata;
  const { type, data } = live as unknown as { type: string; data: unknown };
  const { apiVersion = 'v1', kind = '' } = live;
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, labels, ownerReferences },
    type,
    data,
  } as KubeObject;
}

async function childrenOf(cluster: FakeCluster, owner: KubeObject): Promise<KubeObject[]> {
  const lists = await Promise.all(CHILD_KINDS.map((kind) => listAll(cluster, kind)));
  return lists.flat().filter((child) => isControlledBy(child, owner));
}

async function countChildren(cluster: FakeCluster): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of CHILD_KINDS) {
    const items = await listAll(cluster, kind);
    counts[kind.kind] = items.filter(({ metadata }) => metadata.labels?.[LABEL.modelDeployment]).length;
  }
  return counts;
}

async function listAll<T extends KubeObject>(cluster: FakeCluster, kind: Kind<T>): Promise<readonly T[]> {
  return (await cluster.client.list(kind, { namespace: NAMESPACE_NAME })).items;
}

async function create(
  { cluster, size, report }: ScenarioOptions,
  subject: Subject,
  observer: Observer,
): Promise<Measurement['creation']> {
  const { client, audit } = cluster;
  await untilQuiet(cluster);
  const before = await subject.metrics();
  const cpu = cpuUse(cluster, subject);
  audit.take();
  const startedAt = performance.now();
  await inParallel(modelDeployments(size), (object) => client.create(MODEL_DEPLOYMENT, object));
  const submittedMs = performance.now() - startedAt;
  report(`${size} ModelDeployments submitted in ${(submittedMs / 1000).toFixed(1)} s`);
  const progress = setInterval(() => report(`${observer.availableCount()} of ${size} available`), 15_000);
  try {
    const all = () => observer.availableCount() === size;
    await eventually(
      `${size} ModelDeployments are available`,
      all,
      CREATION_MS + size * CREATION_MS_EACH,
      20,
    );
  } finally {
    clearInterval(progress);
  }
  const availableMs = performance.now() - startedAt;
  const { clusterCpuSeconds, othersSeconds } = cpu();
  const requests = await untilQuiet(cluster, LONG_QUIET_MS);
  const after = await subject.metrics();
  return {
    submittedMs,
    availableMs,
    requests,
    cpuSeconds: cpu().cpuSeconds,
    clusterCpuSeconds,
    othersShare: (othersSeconds * 1000) / availableMs / availableParallelism(),
    ...reconciles(before, after),
  };
}

/** Returns what tells the CPU time used since now. */
function cpuUse(cluster: FakeCluster, subject: Subject) {
  const read = () => ({
    subject: subject.usage().cpuSeconds,
    cluster: cluster.cpuSeconds(),
    bench: usageOf(process.pid).cpuSeconds,
    machine: machineCpuSeconds(),
  });
  const before = read();
  return () => {
    const now = read();
    const cpuSeconds = now.subject - before.subject;
    const clusterCpuSeconds = now.cluster - before.cluster;
    const ours = cpuSeconds + clusterCpuSeconds + now.bench - before.bench;
    return { cpuSeconds, clusterCpuSeconds, othersSeconds: now.machine - before.machine - ours };
  };
}

function reconciles(before: readonly Sample[], after: readonly Sample[]) {
  const controller = { controller: 'modeldeployment' };
  const name = 'controller_runtime_reconcile_time_seconds';
  const seconds = histogramBetween(before, after, name, controller);
  const inMs = (share: number) => {
    const value = quantile(seconds, share);
    return value === undefined ? undefined : value * 1000;
  };
  const passes = (samples: readonly Sample[]) =>
    sumOf(samples, 'controller_runtime_reconcile_total', controller);
  return {
    passes: passes(after) - passes(before),
    reconcileP50Ms: inMs(0.5),
    reconcileP99Ms: inMs(0.99),
  };
}

/** Returns all requests until nobody wrote for a while; a program that never rests is left after 90 s. */
async function untilQuiet({ audit }: FakeCluster, quietMs = QUIET_MS): Promise<RequestCounts> {
  const deadline = Date.now() + 90_000;
  let total = audit.take();
  let quietSince = Date.now();
  while (Date.now() - quietSince < quietMs && Date.now() < deadline) {
    await sleep(250);
    const more = audit.take();
    if (more.writes + more.events > 0) quietSince = Date.now();
    total = addCounts(total, more);
  }
  return total;
}

async function rest(
  { cluster, steadySeconds }: ScenarioOptions,
  subject: Subject,
): Promise<Measurement['steady']> {
  const before = await subject.metrics();
  const cpuBefore = subject.usage().cpuSeconds;
  cluster.audit.take();
  await sleep(steadySeconds * 1000);
  const requests = cluster.audit.take();
  const { cpuSeconds, rssMiB } = subject.usage();
  const { passes } = reconciles(before, await subject.metrics());
  return { seconds: steadySeconds, requests, passes, cpuSeconds: cpuSeconds - cpuBefore, rssMiB };
}

async function damage(
  { cluster, size, repairs }: ScenarioOptions,
  observer: Observer,
): Promise<Measurement['drift']> {
  cluster.audit.take();
  const names = modelDeployments(size).map(({ metadata }) => metadata.name);
  const times = await driftRepairs(cluster.client, observer, names, repairs);
  const requests = await untilQuiet(cluster);
  return { repairs, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), requests };
}
