/** The rules on overlays know everything that the operator puts into its pods, in every configuration. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deploymentExamples, modelExamples } from '../../test/fixtures/examples.ts';
import { deepfakeModelSpec } from '../api/deepfake-model.ts';
import { modelDeploymentSpec } from '../api/model-deployment.ts';
import { type Json, type OwnContainer, overlayViolations } from '../api/overlay-rules.ts';
import { aModel, aModelDeployment, IMAGE, served } from './builders.ts';
import { desiredWorkload } from './deployment/workload.ts';
import { desiredJob } from './model/job.ts';

interface Container extends Json {
  readonly name: string;
  readonly env?: readonly { readonly name: string }[];
  readonly volumeMounts?: readonly { readonly mountPath: string }[];
}
interface Pod {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
}

/** What a user may lay over. */
const FREE = ['name', 'image', 'imagePullPolicy', 'env', 'volumeMounts', 'securityContext'];

const withoutOverlay = <T extends object>(spec: T) => ({ ...spec, template: undefined, fetch: undefined });

function servingPod(example: object): Pod {
  const spec = modelDeploymentSpec.parse(withoutOverlay(example));
  const models = [served('a'), served('b', { claimName: 'shared' })];
  const input = { owner: aModelDeployment(), spec, models, image: IMAGE, replicas: 1, noSurge: false };
  const workload = desiredWorkload(input);
  assert.ok('deployment' in workload);
  return (workload.deployment as unknown as { spec: { template: { spec: Pod } } }).spec.template.spec;
}

function fetchPod(example: object): Pod {
  const caConfigMapRef = { name: 'authorities', key: 'ca.crt' };
  const spec = deepfakeModelSpec.parse({ ...example, fetch: { caConfigMapRef } });
  const plan = desiredJob(aModel(), spec, {
    id: 'x',
    number: 1,
    mode: 'fetch',
    claimName: 'c',
    accessMode: 'ReadWriteOnce',
    maxBytes: 1_000,
    image: IMAGE,
  });
  assert.ok('job' in plan);
  return plan.job.spec?.template.spec as unknown as Pod;
}

/** Overlays that would each change one thing that the operator has set. */
function* meddling(own: OwnContainer, pod: Pod): Generator<Json> {
  const container = pod.containers.find(({ name }) => name === own);
  assert.ok(container);
  const over = (fields: Json) => ({ containers: [{ name: own, ...fields }] });
  for (const { name } of container.env ?? []) yield over({ env: [{ name, value: 'mine' }] });
  for (const { mountPath } of container.volumeMounts ?? []) {
    yield over({ volumeMounts: [{ name: 'mine', mountPath }] });
  }
  const free = own === 'fetch' ? [...FREE, 'resources'] : FREE;
  for (const member of Object.keys(container).filter((name) => !free.includes(name))) {
    yield over({ [member]: container[member] });
  }
  for (const { name } of pod.volumes) yield { volumes: [{ name, emptyDir: {} }] };
}

for (const [own, examples, podOf] of [
  ['inference', deploymentExamples, servingPod],
  ['fetch', modelExamples, fetchPod],
] as const) {
  describe(`whatever the operator sets in the pods of ${own} is protected`, () => {
    for (const [index, example] of examples.entries()) {
      it(`in example ${index}`, () => {
        const attempts = [...meddling(own, podOf(example))];
        assert.ok(attempts.length >= 8);
        for (const overlay of attempts) {
          assert.notDeepEqual(overlayViolations(own, overlay), [], JSON.stringify(overlay));
        }
      });
    }
  });
}
