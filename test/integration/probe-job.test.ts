/** The Job that compares revisions, as a real API server takes it: fields, labels, and the restricted Pod Security Standard. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { desiredProbeJob, type ProbeSet } from '../../operator/analysis/providers/probe-job.ts';
import { JOB, type ModelDeployment, POD, type Pod } from '../../operator/controllers/kinds.ts';
import { DIGEST_A, Environment, IMAGE, NAMESPACE, type Namespace } from './environment.ts';

describe('the Job of a probe', () => {
  let environment: Environment;
  let namespace: Namespace;
  let owner: ModelDeployment;
  before(async () => {
    environment = await Environment.start();
    namespace = await environment.namespace();
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await environment.client.patch(
      NAMESPACE,
      { namespace: '', name: namespace.name },
      { metadata: { labels } },
    );
    owner = await namespace.deployment('d'.repeat(50), { models: [{ name: 'm' }] });
  });
  after(() => environment.stop());

  const sources: Readonly<Record<string, ProbeSet>> = {
    configmap: { configMap: { name: 'media' }, minAuc: 0.9 },
    claim: { pvc: { claimName: 'media', path: 'faces' }, minAuc: 0.9 },
    address: { http: { url: 'https://media.test/set.tar.gz', digest: DIGEST_A }, minAuc: 0.9 },
  };
  for (const [source, probeSet] of Object.entries(sources)) {
    it(`with media by ${source} is taken as it is, and its pods keep the restricted standard`, async () => {
      const job = desiredProbeJob({
        owner,
        spec: owner.spec,
        metric: 'auc',
        probeSet,
        name: `probe-${source}`,
        canaryUrl: 'http://d-canary.ns.svc',
        stableUrl: 'http://d-stable.ns.svc',
        image: IMAGE,
      });
      const made = await environment.client.create(JOB, job);
      const { args, env, volumeMounts } = job.spec?.template.spec?.containers[0] ?? {};
      const [container] = made.spec?.template.spec?.containers ?? [];
      assert.deepEqual([container?.args, container?.env], [args, env]);
      assert.equal(container?.volumeMounts?.length, volumeMounts?.length);
      const { metadata, spec } = made.spec?.template ?? {};
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `pod-${source}`, namespace: namespace.name, labels: metadata?.labels },
        spec,
      };
      await environment.client.create(POD, pod as unknown as Pod);
    });
  }
});
