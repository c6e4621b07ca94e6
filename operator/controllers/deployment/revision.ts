import { hashOf } from '../../runtime/apply.ts';

/** A revision is the hash of everything that changes pods, the models' digests included: a new model version is a rollout. */
export const revisionOf = (podTemplate: unknown): string => hashOf(podTemplate);
