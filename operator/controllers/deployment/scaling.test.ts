import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import { type Raw, trimManagedFields } from '../../runtime/object.ts';
import { aDeployment, aModelDeployment, deploymentSpec } from '../builders.ts';
import type { Deployment, HorizontalPodAutoscaler } from '../kinds.ts';
import {
  appliedReplicas,
  autoscalerConflict,
  desiredAutoscaler,
  keepReplicasOwner,
  replicasHandover,
  scaledDeployment,
} from './scaling.ts';

const auto = deploymentSpec({ autoscaling: { minReplicas: 2, maxReplicas: 5 } });
const owned = (manager: string, operation = 'Apply'): Deployment => {
  const live = aDeployment({ wanted: 4 });
  const fieldsV1 = { 'f:spec': { 'f:replicas': {} } };
  return { ...live, metadata: { ...live.metadata, managedFields: [{ manager, operation, fieldsV1 }] } };
};

describe('replicas to apply', () => {
  const rows: [string, ReturnType<typeof appliedReplicas>, number | undefined][] = [
    ['by default', appliedReplicas(deploymentSpec(), undefined), 1],
    ['as given', appliedReplicas(deploymentSpec({ replicas: 3 }), aDeployment()), 3],
    ['zero', appliedReplicas(deploymentSpec({ replicas: 0 }), aDeployment()), 0],
    ['autoscaled and new', appliedReplicas(auto, undefined), 2],
    ['autoscaled', appliedReplicas(auto, aDeployment()), undefined],
    ['autoscaled and without pods', appliedReplicas(auto, aDeployment({ wanted: 0 })), 2],
    ['autoscaled and new beside pods that serve', appliedReplicas(auto, undefined, 4), 4],
    ['autoscaled and new beside too many pods', appliedReplicas(auto, undefined, 9), 5],
  ];
  for (const [what, actual, expected] of rows)
    it(`${what}: ${expected}`, () => assert.equal(actual, expected));
});

describe('a handover of replicas', () => {
  it('keeps the count when the operator lets go of it', () => {
    const handover = replicasHandover(auto, owned('deepfake-operator'));
    assert.deepEqual((handover as unknown as { spec: unknown }).spec, { replicas: 4 });
    assert.equal(handover?.metadata.uid, 'uid-d-stable');
  });
  it('does not keep a count of zero, from which no autoscaler scales', () => {
    const live = owned('deepfake-operator');
    const handover = replicasHandover(auto, { ...live, spec: { ...live.spec, replicas: 0 } } as Deployment);
    assert.deepEqual((handover as unknown as { spec: unknown }).spec, { replicas: 2 });
  });
  it('is of the Deployment as it was seen, for the count may be another by now', () => {
    const live = owned('deepfake-operator');
    const seen = { ...live, metadata: { ...live.metadata, resourceVersion: '7' } };
    assert.equal(replicasHandover(auto, seen)?.metadata.resourceVersion, '7');
  });
  it('needs no more of the fields’ owners than the store keeps', () => {
    const live = owned('deepfake-operator');
    const [whole = {}] = live.metadata.managedFields ?? [];
    const fieldsV1 = { 'f:metadata': {}, 'f:spec': { 'f:replicas': {}, 'f:template': {} } };
    const managedFields = [
      { ...whole, fieldsV1 },
      { manager: 'kubectl', operation: 'Update', fieldsV1 },
    ];
    const kept = trimManagedFields(
      { ...live, metadata: { ...live.metadata, managedFields } },
      keepReplicasOwner,
    );
    assert.deepEqual(kept.metadata.managedFields, [whole]);
    assert.deepEqual(replicasHandover(auto, kept), replicasHandover(auto, live));
  });
  const rows: [string, ReturnType<typeof replicasHandover>][] = [
    ['it is the autoscaler’s already', replicasHandover(auto, owned('kube-controller-manager', 'Update'))],
    ['nobody scales', replicasHandover(deploymentSpec(), owned('deepfake-operator'))],
    ['there is no Deployment', replicasHandover(auto, undefined)],
  ];
  for (const [what, actual] of rows) it(`is not needed when ${what}`, () => assert.equal(actual, undefined));
});

describe('the autoscaler', () => {
  const build = (autoscaling: object) =>
    desiredAutoscaler(aModelDeployment(), deploymentSpec({ autoscaling })) as
      | Raw<V2HorizontalPodAutoscaler>
      | undefined;

  it('watches CPU unless metrics are given, which it hands on as they are', () => {
    assert.equal(build({ maxReplicas: 2 })?.spec?.metrics?.[0]?.resource?.target.averageUtilization, 70);
    const metrics = [{ type: 'Pods', pods: { metric: { name: 'queue_depth' } } }];
    assert.deepEqual(build({ maxReplicas: 2, metrics })?.spec?.metrics, metrics);
  });

  it('targets the stable track within its bounds, with the behavior as given', () => {
    const behavior = { scaleDown: { stabilizationWindowSeconds: 10 } };
    const { spec } = build({ minReplicas: 2, maxReplicas: 4, behavior }) ?? {};
    assert.deepEqual(
      [spec?.scaleTargetRef.name, spec?.minReplicas, spec?.maxReplicas, spec?.behavior],
      ['d-stable', 2, 4, behavior],
    );
  });

  it('is absent where the count is fixed', () => {
    assert.equal(desiredAutoscaler(aModelDeployment(), deploymentSpec({ replicas: 2 })), undefined);
  });
});

describe('an autoscaler of somebody else', () => {
  const scaling = (kind: string, name: string): HorizontalPodAutoscaler => ({
    metadata: { name: 'theirs', namespace: 'ns' },
    spec: { maxReplicas: 2, scaleTargetRef: { kind, name } },
  });
  const ours = desiredAutoscaler(
    aModelDeployment(),
    deploymentSpec({ autoscaling: { maxReplicas: 2 } }),
  ) as unknown as HorizontalPodAutoscaler;
  const told = (autoscaler: HorizontalPodAutoscaler, spec = deploymentSpec()) =>
    autoscalerConflict(aModelDeployment(), spec, [autoscaler])?.message;

  it('concerns the ModelDeployment that it scales, itself or through its Deployment', () => {
    const targets: [string, string][] = [
      ['ModelDeployment', 'd'],
      ['Deployment', 'd-stable'],
      ['Deployment', 'web'],
      ['StatefulSet', 'd-stable'],
    ];
    assert.deepEqual(
      targets.map((target) => scaledDeployment(scaling(...target))),
      ['d', 'd', undefined, undefined],
    );
  });

  it('works against the count wherever it scales the Deployment', () => {
    assert.match(
      told(scaling('Deployment', 'd-stable')) ?? '',
      /theirs scales Deployment d-stable.*let it scale ModelDeployment d$/,
    );
  });

  it('works against ours only, where it scales the ModelDeployment', () => {
    assert.equal(told(scaling('ModelDeployment', 'd')), undefined);
    assert.match(told(scaling('ModelDeployment', 'd'), auto) ?? '', /take one of them away/);
  });

  it('does not concern a ModelDeployment of which it has but the label', () => {
    assert.equal(told(scaling('StatefulSet', 'db'), auto), undefined);
    assert.equal(told(scaling('Deployment', 'web'), auto), undefined);
  });

  it('is not ours', () => assert.equal(told(ours, auto), undefined));
});
