/** What a probe measured, read from its Job and pods, and what that is worth. Pure. */
import { z } from 'zod';
import type { Job, Pod } from '../../controllers/kinds.ts';
import { givenUp, podProblem } from '../../controllers/pods.ts';
import type { Taken } from '../evaluate.ts';
import { figures, rounded } from '../figures.ts';
import { PROBE_CONTAINER, type ProbeSet } from './probe-job.ts';

const count = z.number().int().min(0);
const share = z.number().min(0).max(1);
const side = z.object({
  version: z.string().max(64),
  scored: count,
  inconclusive: count,
  unanswered: count,
  why: z.string().max(1000).optional(),
  auc: share.nullable(),
  accuracy: share.nullable(),
});
const cell = z.union([z.number(), z.string()]);
const report = z.object({
  files: count,
  compared: count,
  canary: side,
  stable: side.optional(),
  maxScoreChange: share.nullish(),
  flips: share.nullish(),
  worst: z
    .array(z.object({ path: z.string(), fake: z.boolean(), canary: cell, stable: cell.optional() }))
    .max(5),
});
export type ProbeReport = z.output<typeof report>;
type SideReport = z.output<typeof side>;

const failure = z.object({ error: z.object({ reason: z.string().min(1).max(256), message: z.string() }) });

export type ProbeOutcome =
  | { readonly state: 'running'; readonly problem?: string }
  /** The Job has ended, but its pod's last words are not known here yet. */
  | { readonly state: 'unknown' }
  | { readonly state: 'measured'; readonly report: ProbeReport }
  | { readonly state: 'failed'; readonly message: string };

/** How long to wait for a finished Job's pod to show up with its result, ms. */
const RESULT_PATIENCE_MS = 30_000;

/** @param pods of this Job alone */
export function probeOutcome(job: Job, pods: readonly Pod[], nowMs: number): ProbeOutcome {
  const ended = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (!ended) {
    const problem = podProblem(pods);
    return problem
      ? { state: 'running', problem: `${problem.reason}: ${problem.message}` }
      : { state: 'running' };
  }
  const said = lastWords(pods);
  const parsed = parsedJson(said);
  const measured = report.safeParse(parsed);
  if (ended.type === 'Complete' && measured.success) return { state: 'measured', report: measured.data };
  const told = failure.safeParse(parsed);
  if (told.success)
    return { state: 'failed', message: `${told.data.error.reason}: ${told.data.error.message}` };
  const endedAt = Date.parse(String(ended.lastTransitionTime ?? job.metadata.creationTimestamp));
  const why = givenUp(pods);
  if (why) return { state: 'failed', message: `${why.reason}: ${why.message}` };
  if (said === undefined && ended.reason !== 'DeadlineExceeded' && nowMs - endedAt <= RESULT_PATIENCE_MS)
    return { state: 'unknown' };
  const detail = said?.trim() || ended.message || 'its pod left no message';
  return {
    state: 'failed',
    message: ended.reason === 'DeadlineExceeded' ? `DeadlineExceeded: ${detail}` : detail,
  };
}

function lastWords(pods: readonly Pod[]): string | undefined {
  const ends = pods.flatMap(
    (pod) =>
      pod.status?.containerStatuses?.find(({ name }) => name === PROBE_CONTAINER)?.state?.terminated ?? [],
  );
  return ends.length === 0 ? undefined : (ends.find(({ message }) => message)?.message ?? '');
}

function parsedJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** 0.97 - 0.95 is a little more than 0.02. */
const EPSILON = 1e-9;
const DEFAULT_MIN_FILES = 10;

/**
 * A bound that the files cannot tell about, because a class or a revision is missing, is inconclusive; so is a canary that leaves files
 * unanswered which the stable revision answers, unless what it did answer fails already.
 */
export function judgeProbe(probeSet: ProbeSet, found: ProbeReport): Taken {
  const { canary, stable, compared } = found;
  const value = figures({
    auc: canary.auc ?? undefined,
    stableAuc: stable?.auc ?? undefined,
    accuracy: canary.accuracy ?? undefined,
    maxScoreChange: found.maxScoreChange ?? undefined,
    flips: found.flips ?? undefined,
    files: found.files,
    compared,
    inconclusive: canary.inconclusive,
    unanswered: canary.unanswered,
  });
  const { minFiles = DEFAULT_MIN_FILES } = probeSet;
  if (compared < minFiles) {
    const message = `${compared} of ${found.files} files were scored by ${stable ? 'both revisions' : 'the canary'}, fewer than minFiles ${minFiles}${whyOf(canary, stable)}`;
    return { phase: 'Inconclusive', value, message };
  }
  const verdicts = boundsOf(probeSet, found);
  const broken = verdicts.filter(({ broken }) => broken === true);
  if (broken.length > 0) {
    const message = `${broken.map(({ text }) => text).join('; ')}${worstText(found)}`;
    return { phase: 'Failed', value, message };
  }
  const unknown = verdicts.find(({ broken }) => broken === undefined);
  if (unknown) return { phase: 'Inconclusive', value, message: unknown.text };
  if (canary.unanswered > (stable?.unanswered ?? 0)) {
    const message = `the canary left ${canary.unanswered} of ${found.files} files unanswered${whyOf(canary, undefined)}`;
    return { phase: 'Inconclusive', value, message };
  }
  return { phase: 'Successful', value };
}

interface BoundVerdict {
  /** undefined: cannot be told. */
  readonly broken: boolean | undefined;
  readonly text: string;
}

function boundsOf(
  { minAuc, maxAucDrop, minAccuracy, maxScoreChange, maxFlips }: ProbeSet,
  { canary, stable, maxScoreChange: change, flips }: ProbeReport,
): readonly BoundVerdict[] {
  const drop = stable && stable.auc !== null && canary.auc !== null ? stable.auc - canary.auc : undefined;
  return [
    bound('AUC', canary.auc, 'less', 'minAuc', minAuc),
    bound('AUC drop', drop, 'more', 'maxAucDrop', maxAucDrop),
    bound('accuracy', canary.accuracy, 'less', 'minAccuracy', minAccuracy),
    bound('largest score change', change, 'more', 'maxScoreChange', maxScoreChange),
    bound('share of flipped verdicts', flips, 'more', 'maxFlips', maxFlips),
  ].filter((verdict) => verdict !== undefined);
}

function bound(
  what: string,
  value: number | null | undefined,
  than: 'less' | 'more',
  name: string,
  limit: number | undefined,
): BoundVerdict | undefined {
  if (limit === undefined) return undefined;
  if (value === null || value === undefined)
    return { broken: undefined, text: `${name}: the files do not give the ${what}` };
  const broken = than === 'less' ? value < limit - EPSILON : value > limit + EPSILON;
  return { broken, text: `${what} is ${rounded(value)}, ${than} than ${name} ${limit}` };
}

function whyOf(canary: SideReport, stable: SideReport | undefined): string {
  const why = canary.why ?? stable?.why;
  return why === undefined ? '' : ` (${why})`;
}

function worstText({ worst }: ProbeReport): string {
  if (worst.length === 0) return '';
  const files = worst.map(({ path, fake, canary, stable }) => {
    const before = stable === undefined ? '' : `, before ${stable}`;
    return `${path} (${fake ? 'fake' : 'real'}: ${canary}${before})`;
  });
  return `; worst: ${files.join(', ')}`;
}
