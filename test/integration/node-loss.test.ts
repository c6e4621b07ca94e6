/** With Kubernetes' own Job controller: a node that goes away in the middle of a fetch, and takes its pod with it. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import {
  DEEPFAKE_MODEL,
  type DeepfakeModel,
  JOB,
  type Job,
  POD,
  type Pod,
} from '../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { conditionOf, DIGEST_A, Environment, eventually, type Namespace } from './environment.ts';

const NODE: Kind = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const LOST = 'lost';
/** The end of the pod's grace period and what the operator adds to it are half a minute; the rest is for a busy machine. */
const PATIENCE_MS = 120_000;

let environment: Environment;
let operator: Awaited<ReturnType<Environment['runOperator']>>;
before(async () => {
  environment = await Environment.start({ controllerManager: true });
  operator = await environment.runOperator();
  await environment.client.create(NODE, { apiVersion: 'v1', kind: 'Node', metadata: { name: LOST } });
});
after(async () => {
  await operator.stop();
  await environment.stop();
});

/** Posts to a subresource of a pod. */
function post(
  { name: namespace }: Namespace,
  pod: string,
  subresource: string,
  body: object,
): Promise<unknown> {
  const kind: Kind = {
    apiVersion: 'v1',
    kind: 'Pod',
    plural: `pods/${pod}/${subresource}`,
    namespaced: true,
  };
  const metadata = { name: pod, namespace };
  return environment.client.create(kind, { ...body, metadata } as KubeObject);
}

/** The pod of a fetch, running on the node that goes away, and deleted as the node controller does. */
async function losePod(namespace: Namespace, job: Job): Promise<Pod> {
  const pod = await eventually('the pod of the fetch', async () =>
    (await namespace.list(POD)).find(({ metadata }) => metadata.labels?.['job-name'] === job.metadata.name),
  );
  const { name } = pod.metadata;
  await post(namespace, name, 'binding', {
    apiVersion: 'v1',
    kind: 'Binding',
    target: { kind: 'Node', name: LOST },
  });
  const container = { name: 'fetch', image: 'i', imageID: '', ready: true, restartCount: 0 };
  const containerStatuses = [{ ...container, state: { running: {} } }];
  await namespace.patch(POD, name, { status: { phase: 'Running', containerStatuses } }, 'status');
  const deleteOptions = { gracePeriodSeconds: 1 };
  await post(namespace, name, 'eviction', { apiVersion: 'policy/v1', kind: 'Eviction', deleteOptions });
  return pod;
}

it('the next attempt begins where nodes share the volume; elsewhere the model says what to do', async () => {
  const namespace = await environment.namespace();
  const http = { source: { http: { url: 'https://h.test/m.tar.gz' } }, digest: DIGEST_A };
  await namespace.model('shared', { ...http, storage: { pvc: { accessMode: 'ReadWriteMany' } } });
  await namespace.model('tied', http);
  const [sharedJob, tiedJob] = [await namespace.fetchJob('shared'), await namespace.fetchJob('tied')];
  const pods = [await losePod(namespace, sharedJob), await losePod(namespace, tiedJob)];
  const second = await eventually(
    'the next attempt of the shared volume',
    async () => {
      const job = await namespace.fetchJob('shared');
      return job.metadata.name !== sharedJob.metadata.name && job;
    },
    PATIENCE_MS,
  );
  assert.match(second.metadata.name, /-2$/);
  // An attempt is in the status once its Job is there, and those before it are gone.
  const shared = await namespace.until(
    DEEPFAKE_MODEL,
    'shared',
    ({ status }) => status?.fetch?.attempts === 2,
    'tells of the next attempt',
  );
  assert.equal(shared.status?.fetch?.reason, 'NodeLost');

  const tied = await eventually(
    'the volume of one node is said to stay there',
    async () => {
      const model = await namespace.find(DEEPFAKE_MODEL, 'tied');
      return conditionOf(model as DeepfakeModel, 'Ready')?.reason === 'NodeLost' && model;
    },
    PATIENCE_MS,
  );
  assert.match(tied.status?.message ?? '', /its node lost is gone; .*delete the Node, or taint it/);
  assert.deepEqual([tied.status?.phase, tied.status?.fetch?.attempts], ['Pending', 1]);
  const jobs = (await namespace.list(JOB)).map(({ metadata }) => metadata.name);
  assert.deepEqual(jobs.sort(), [second.metadata.name, tiedJob.metadata.name]);

  // The pods are still there: nobody has said that they ended.
  for (const { metadata } of pods) assert.ok(await namespace.find(POD, metadata.name));
});
