/** Quotas and limits that refuse children: status says so, nothing is hammered, and work goes on once they are lifted. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import type { Kind, KubeObject } from '../../../operator/runtime/object.ts';
import { conditionOf, DIGEST_A, eventually, type Namespace } from '../environment.ts';
import { deploy, Stage } from './stage.ts';

const QUOTA: Kind = { apiVersion: 'v1', kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true };
const LIMITS: Kind = { apiVersion: 'v1', kind: 'LimitRange', plural: 'limitranges', namespaced: true };

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

/** Allows none of a resource. The controller that measures does not run here: admission reads what it would write. */
async function allowNone({ name: namespace }: Namespace, resource: string): Promise<() => Promise<void>> {
  const { client } = stage.environment;
  const metadata = { name: 'none', namespace };
  const hard = { [resource]: '0' };
  await client.create(QUOTA, { apiVersion: 'v1', kind: QUOTA.kind, metadata, spec: { hard } } as KubeObject);
  await client.patch(QUOTA, metadata, { status: { hard, used: hard } }, { subresource: 'status' });
  await eventually(`no ${resource} is admitted`, async () => {
    const live = (await client.find(QUOTA, metadata)) as { status?: { hard?: object } } | undefined;
    return live?.status?.hard !== undefined;
  });
  return () => client.delete(QUOTA, metadata);
}

/** Allows claims of half the default size. */
async function allowSmallClaims({ name: namespace }: Namespace): Promise<() => Promise<void>> {
  const { client } = stage.environment;
  const metadata = { name: 'small', namespace };
  const limits = [{ type: 'PersistentVolumeClaim', max: { storage: '512Mi' } }];
  await client.create(LIMITS, {
    apiVersion: 'v1',
    kind: LIMITS.kind,
    metadata,
    spec: { limits },
  } as KubeObject);
  return () => client.delete(LIMITS, metadata);
}

interface Row {
  readonly name: string;
  readonly refuse: (namespace: Namespace) => Promise<() => Promise<void>>;
  readonly told: RegExp;
  /** Whose status has to say it. */
  readonly by: 'model' | 'deployment';
}
const quota = (resource: string, by: Row['by'], child: string): Row => ({
  name: `a quota of no ${resource}`,
  refuse: (namespace) => allowNone(namespace, resource),
  told: new RegExp(`refused ${child} .*exceeded quota: none, requested: ${resource}=1`),
  by,
});
const ROWS: readonly Row[] = [
  quota('persistentvolumeclaims', 'model', 'PersistentVolumeClaim'),
  quota('count/jobs.batch', 'model', 'Job'),
  quota('services', 'deployment', 'Service'),
  quota('secrets', 'deployment', 'Secret'),
  quota('count/poddisruptionbudgets.policy', 'deployment', 'PodDisruptionBudget'),
  quota('count/deployments.apps', 'deployment', 'Deployment'),
  {
    name: 'a limit on the size of claims',
    refuse: allowSmallClaims,
    told: /refused PersistentVolumeClaim .*maximum storage usage per PersistentVolumeClaim is 512Mi/,
    by: 'model',
  },
];

describe('what refuses children is told, and forgotten once it is lifted', { concurrency: true }, () => {
  for (const { name, refuse, told, by } of ROWS) {
    it(name, async (t) => {
      const { namespace, start } = await stage.scene(t);
      const lift = await refuse(namespace);
      const { proxy } = await start();
      await deploy(namespace);
      const reader = by === 'model' ? DEEPFAKE_MODEL : MODEL_DEPLOYMENT;
      const condition = by === 'model' ? 'Ready' : 'Degraded';
      await namespace.until<never>(
        reader as Kind<never>,
        by === 'model' ? 'm' : 'd',
        (object) => told.test(conditionOf(object, condition)?.message ?? ''),
        'tells what refuses',
      );
      await stage.witness.rest(namespace.name);
      const before = proxy.writes.length;
      await sleep(2_000);
      assert.ok(proxy.writes.length - before <= 2, `${proxy.writes.length - before} writes in 2 s`);
      await lift();
      await stage.untilServed(namespace, DIGEST_A, 1);
      assert.deepEqual(stage.violations(namespace), []);
    });
  }
});
