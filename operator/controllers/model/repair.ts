/** Damage that serving pods find in a package at their start. Pure. */
import { z } from 'zod';
import { LABEL } from '../../api/names.ts';
import { keyText } from '../../runtime/object.ts';
import type { Pod } from '../kinds.ts';
import { DAMAGED_EXIT_CODE } from '../pods.ts';
import type { Problem } from '../problems.ts';
import { parseJson } from './fetch-outcome.ts';
import type { Artifact } from './status.ts';

const lastWords = z.object({
  error: z.object({
    reason: z.string().min(1).max(256),
    model: z.string().min(1).max(253),
    message: z.string(),
  }),
});
const MESSAGE_MAX = 1000;

interface Damage {
  readonly model: string;
  readonly problem: Problem;
  /** When the container that found it was started. */
  readonly startedAt: string;
}

/** Index of serving pods by the models whose packages they found damaged. */
export const BY_DAMAGED_MODEL = 'by-damaged-model';
export const damagedModelKeys = (pod: Pod): string[] => {
  const found = damageIn(pod);
  return found ? [keyText({ namespace: pod.metadata.namespace ?? '', name: found.model })] : [];
};

function damageIn({ metadata, status }: Pod): Damage | undefined {
  if (metadata.labels?.[LABEL.modelDeployment] === undefined) return undefined;
  const ends = (status?.containerStatuses ?? []).flatMap(({ state, lastState }) =>
    [state?.terminated, lastState?.terminated].filter((end) => end?.exitCode === DAMAGED_EXIT_CODE),
  );
  for (const end of ends) {
    const words = lastWords.safeParse(parseJson(end?.message));
    if (!words.success) continue;
    const { model, reason, message } = words.data.error;
    const told = `pod ${metadata.name}: ${reason}: ${message.slice(0, MESSAGE_MAX)}`;
    const problem = { reason: 'PackageDamaged', message: told };
    return { model, problem, startedAt: String(end?.startedAt ?? '') };
  }
  return undefined;
}

/**
 * What pods say of the package that is verified now. Those that began before `verifiedAt`, the end of the last fetch onto the
 * claim, may have read what has been repaired since, and those of another package or claim say nothing of this one.
 */
export function damageOf(
  model: string,
  artifact: Artifact,
  pods: readonly Pod[],
  verifiedAt: string | undefined,
): Problem | undefined {
  const since = Date.parse(verifiedAt ?? '') || 0;
  for (const pod of pods) {
    const found = damageIn(pod);
    if (found?.model !== model || !servesFrom(pod, model, artifact)) continue;
    if (Date.parse(found.startedAt) > since) return found.problem;
  }
  return undefined;
}

function servesFrom({ spec }: Pod, model: string, { digest, pvc }: Artifact): boolean {
  const pinned = spec?.containers
    .flatMap(({ env = [] }) => env)
    .find(({ name }) => name === 'MODEL_DIGESTS')?.value;
  return (
    pinned?.split(',').includes(`${model}=${digest}`) === true &&
    spec?.volumes?.some(({ persistentVolumeClaim: claim }) => claim?.claimName === pvc.claimName) === true
  );
}
