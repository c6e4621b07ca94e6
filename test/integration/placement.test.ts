/** With the scheduler of Kubernetes itself: where pods of shared claims may run. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type ControlPlane, startControlPlane } from '../../hack/lib/control-plane.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { type MountedClaim, placeByClaims } from '../../operator/controllers/claims.ts';
import { POD, type Pod } from '../../operator/controllers/kinds.ts';
import { podProblem } from '../../operator/controllers/pods.ts';
import { KubeClient } from '../../operator/runtime/client.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { eventually } from './environment.ts';

const NODE: Kind = { apiVersion: 'v1', kind: 'Node', plural: 'nodes', namespaced: false };
const ACCOUNT: Kind = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
  namespaced: true,
};
const NODES = ['node-a', 'node-b', 'node-c'];
const namespace = 'default';

let dataDir: string;
let controlPlane: ControlPlane;
let client: KubeClient;
before(async () => {
  const log = (line: string) => process.stderr.write(`${line}\n`);
  const binaries = await ensureBinaries(['etcd', 'kube-apiserver', 'kube-scheduler'], log);
  dataDir = await mkdtemp(join(tmpdir(), 'deepfake-operator-it-'));
  controlPlane = await startControlPlane({ dataDir, binaries, scheduler: true });
  client = KubeClient.fromFile(controlPlane.kubeconfigPath);
  const account = { apiVersion: 'v1', kind: ACCOUNT.kind, metadata: { name: 'default', namespace } };
  await client.apply(ACCOUNT, account, { fieldManager: 'test' });
  for (const name of NODES) await addNode(name);
});
after(async () => {
  await client.config.close();
  await controlPlane.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** A node whose kubelet is imagined. */
async function addNode(name: string): Promise<void> {
  const labels = { 'kubernetes.io/hostname': name };
  await client.create(NODE, { apiVersion: 'v1', kind: NODE.kind, metadata: { name, labels } });
  const capacity = { cpu: '8', memory: '8Gi', pods: '100' };
  const conditions = [{ type: 'Ready', status: 'True', reason: 'Test', message: '' }];
  const body = { status: { capacity, allocatable: capacity, conditions } };
  await client.patch(NODE, { name }, body, { subresource: 'status' });
  // The API server takes new nodes for unready until a controller says otherwise.
  await client.patch(NODE, { name }, { spec: { taints: null } });
}

interface PodOptions {
  readonly cpu?: string;
  readonly nodeName?: string;
}

async function addPod(
  name: string,
  claims: readonly MountedClaim[],
  { cpu = '100m', nodeName }: PodOptions = {},
): Promise<void> {
  const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu } } }];
  const spec = { containers, ...(nodeName ? { nodeSelector: { 'kubernetes.io/hostname': nodeName } } : {}) };
  const template = placeByClaims({ metadata: { labels: { name } }, spec }, claims);
  const metadata = { ...template.metadata, name, namespace };
  await client.create(POD, { ...template, apiVersion: 'v1', kind: POD.kind, metadata } as KubeObject as Pod);
}

const nodeOf = (name: string) =>
  eventually(
    `pod ${name} has a node`,
    async () => (await client.find(POD, { namespace, name }))?.spec?.nodeName,
  );

const claim = (claimName: string): MountedClaim => ({ claimName, accessMode: 'ReadWriteOnce' });

describe('pods of a ReadWriteOnce claim', () => {
  it('all go to the node of the first, which goes anywhere', async () => {
    const nodes: string[] = [];
    for (const name of ['first', 'second', 'third', 'fourth']) {
      await addPod(name, [claim('one')]);
      nodes.push(await nodeOf(name));
    }
    assert.equal(new Set(nodes).size, 1, nodes.join());
  });

  it('go with pods that mount several claims, and those beside pods that mount some of them', async () => {
    await addPod('x-1', [claim('x')], { nodeName: 'node-b' });
    assert.equal(await nodeOf('x-1'), 'node-b');
    await addPod('both', [claim('x'), claim('y')]);
    assert.equal(await nodeOf('both'), 'node-b');
    await addPod('y-1', [claim('y')]);
    assert.equal(await nodeOf('y-1'), 'node-b');
  });

  it('say that they have to be together where their node is full', async () => {
    await addPod('holder', [claim('full')], { nodeName: 'node-c' });
    await nodeOf('holder');
    await addPod('filler', [], { cpu: '6', nodeName: 'node-c' });
    await nodeOf('filler');
    await addPod('late', [claim('full')], { cpu: '4' });
    const problem = await eventually('the scheduler gives up', async () => {
      const pod = await client.find(POD, { namespace, name: 'late' });
      return pod && podProblem([pod]);
    });
    assert.equal(problem.reason, 'VolumeNodeFull');
    assert.match(problem.message, /have to run on one node$/);
  });

  it('go anywhere again once the others have ended', async () => {
    await addPod('done', [claim('left')], { nodeName: 'node-a' });
    await nodeOf('done');
    await client.patch(
      POD,
      { namespace, name: 'done' },
      { status: { phase: 'Succeeded' } },
      { subresource: 'status' },
    );
    await addPod('next', [claim('left')], { nodeName: 'node-b' });
    assert.equal(await nodeOf('next'), 'node-b');
  });
});

it('pods of a claim that nodes share spread', async () => {
  const shared: MountedClaim = { claimName: 'shared', accessMode: 'ReadWriteMany' };
  for (const nodeName of ['node-a', 'node-b']) {
    await addPod(`on-${nodeName}`, [shared], { nodeName });
    assert.equal(await nodeOf(`on-${nodeName}`), nodeName);
  }
});
