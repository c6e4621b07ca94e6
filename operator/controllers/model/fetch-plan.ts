/** When a fetch is another one. Pure. */
import type { DeepfakeModelSpec } from '../../api/deepfake-model.ts';
import { hashOf } from '../../runtime/apply.ts';
import type { InferenceImage } from '../pods.ts';
import type { ModelClaim } from './claim-plan.ts';

/**
 * Changes with everything that the outcome depends on: another id is another fetch. A claim that was made anew has a new
 * uid. A builtin package without a digest is whatever the image holds, so it is fetched again with every image.
 */
export function fetchId(
  spec: DeepfakeModelSpec,
  claim: ModelClaim,
  claimUid: string | undefined,
  image: InferenceImage,
): string {
  const floating = spec.source.builtin && spec.digest === undefined;
  return hashOf({
    source: spec.source,
    digest: spec.digest,
    version: spec.version,
    modality: spec.modality,
    claim: claim.name,
    claimUid: claim.own ? claimUid : undefined,
    image: floating ? image.name : undefined,
  });
}

export const jobName = (model: string, id: string, attempt: number) => `${model}-fetch-${id}-${attempt}`;
