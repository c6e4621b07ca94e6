/** Whether pods may be made, and which. Pure. */
import type { ModelDeploymentSpec } from '../../api/model-deployment.ts';
import type { Deployment, ModelDeployment, Pod } from '../kinds.ts';
import type { InferenceImage } from '../pods.ts';
import type { Problem } from '../problems.ts';
import {
  type DeviceImages,
  deviceClaim,
  deviceImage,
  deviceImageMissing,
  resourceClaimsNotSupported,
} from './devices.ts';
import type { ModelResolution } from './models.ts';
import { appliedReplicas } from './scaling.ts';
import { needsNoSurge } from './surge.ts';
import { desiredWorkload, type Workload } from './workload.ts';

export interface PlanInput {
  readonly owner: ModelDeployment;
  readonly spec: ModelDeploymentSpec;
  readonly models: ModelResolution;
  readonly image: InferenceImage;
  readonly deviceImages: DeviceImages;
  /** Whether the cluster has dynamic resource allocation; looked at where the spec asks for it. */
  readonly claimsServed: boolean;
  readonly live: Deployment | undefined;
  /** Pods of revisions in whose place the Deployment comes. */
  readonly serving?: number;
  /** Those that have not ended. */
  readonly pods: readonly Pod[];
  readonly podProblem: Problem | undefined;
}

export interface Plan {
  /** undefined: pods that are there stay as they are, and none are made. */
  readonly workload?: Workload;
  /** Why the spec cannot be followed. */
  readonly problem?: Problem;
}

export function planWorkload(input: PlanInput): Plan {
  const { owner, spec, models, live } = input;
  const image = deviceImage(spec.device, input.image, input.deviceImages);
  if (!image) return { problem: deviceImageMissing(spec.device) };
  const claim = deviceClaim(spec);
  if (claim && !input.claimsServed) return { problem: resourceClaimsNotSupported(claim) };
  const made = desiredWorkload({
    owner,
    spec,
    models: models.served ?? [],
    image,
    replicas: appliedReplicas(spec, live, input.serving),
    noSurge: needsNoSurge(live, input.podProblem, input.pods),
  });
  if ('problem' in made) return made;
  // The first pods are only made from models that are all as their specs ask; a Deployment that somebody deleted is made again.
  const first = live === undefined && owner.status?.stableRevision === undefined;
  const waiting = models.served === undefined || (models.problem !== undefined && first);
  return waiting ? {} : { workload: made };
}
