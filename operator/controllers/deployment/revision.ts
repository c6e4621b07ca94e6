/** What a revision is, and what its Deployment tells of it. Pure. */
import { z } from 'zod';
import type { ModelDeploymentStatus } from '../../api/model-deployment.ts';
import { GROUP, LABEL } from '../../api/names.ts';
import { hashOf } from '../../runtime/apply.ts';
import type { Deployment } from '../kinds.ts';
import type { ServedModel } from './models.ts';

/** A revision is the hash of everything that changes pods, the models' digests included: a new model version is a rollout. */
export const revisionOf = (podTemplate: unknown): string => hashOf(podTemplate);

/** Which revision a Deployment's pods are of. */
export const revisionIn = ({ spec }: Deployment): string | undefined =>
  spec?.template.metadata?.labels?.[LABEL.revision];

type Packages = NonNullable<ModelDeploymentStatus['models']>;

export const packagesOf = (models: readonly Pick<ServedModel, 'name' | 'version' | 'digest'>[]): Packages =>
  models.map(({ name, version, digest }) => ({ name, version, digest }));

/** On a Deployment: its packages as JSON. Nobody else knows what an older revision serves. */
export const MODELS_ANNOTATION = `${GROUP}/models`;

export const modelsAnnotation = (models: readonly ServedModel[]) => ({
  [MODELS_ANNOTATION]: JSON.stringify(packagesOf(models)),
});

const packages = z.array(z.object({ name: z.string(), version: z.string(), digest: z.string() })).max(16);

/** undefined where the annotation is missing, or somebody has written something else there. */
export function packagesIn({ metadata }: Deployment): Packages | undefined {
  try {
    return packages.parse(JSON.parse(metadata.annotations?.[MODELS_ANNOTATION] ?? ''));
  } catch {
    return undefined;
  }
}
