/** Carries a verb out. */
import { MODEL_DEPLOYMENT } from '../../controllers/kinds.ts';
import type { KubeClient, Reference } from '../../runtime/client.ts';
import { isConflict } from '../../runtime/errors.ts';
import { CommandError, noDeployment } from '../errors.ts';
import type { Verb } from './verbs.ts';

/** Of the changes, in metadata.managedFields. */
const FIELD_MANAGER = 'kubectl-deepfake';

/** An operator that writes status at every pass loses interest sooner than this. */
const ATTEMPTS = 20;

/**
 * Decides on the object as it is, and patches that very version of it; where somebody was faster, both again. Resolves with what
 * is so now. @throws CommandError where the verb makes no sense or there is no such deployment; ApiError
 */
export async function act(
  client: KubeClient,
  ref: Reference,
  verb: Verb,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const deployment = await client.find(MODEL_DEPLOYMENT, ref, signal);
    if (!deployment) throw noDeployment(ref.name, ref.namespace);
    const decision = verb(deployment, Date.now());
    if (decision.does === 'refuse') throw new CommandError(decision.because);
    const { resourceVersion } = deployment.metadata;
    const { subresource } = decision;
    try {
      await client.patch(
        MODEL_DEPLOYMENT,
        ref,
        { ...decision.body, metadata: { resourceVersion } },
        { fieldManager: FIELD_MANAGER, signal, ...(subresource === undefined ? {} : { subresource }) },
      );
      return decision.says;
    } catch (error) {
      if (!isConflict(error) || attempt === ATTEMPTS) throw error;
    }
  }
}
