/** Several models for one file at the same time; what one of them cannot say is told beside the verdict of the others. */
import type { CacheResult, Judged, JudgeOptions } from '../cache/judgements.ts';
import { type ErrorCode, messageOf, ServiceError } from '../errors.ts';
import type { ProgressStep } from '../pipelines/analysis.ts';
import type { Assignment, Plan } from '../pipelines/analyzer.ts';
import type { MissingModel } from '../pipelines/fusion/explanations.ts';
import {
  type FusedAnalysis,
  fusedAnalysis,
  type MemberAnalysis,
} from '../pipelines/fusion/fused-analysis.ts';
import type { Absentee } from '../pipelines/fusion/selection.ts';
import { JointRun, type Seat } from '../pipelines/joint-run.ts';
import type { ServerDependencies } from './dependencies.ts';

export type JointPlan = Extract<Plan, { type: 'several' }>;

/** What one model says, with where its time went. */
export interface Member extends MemberAnalysis, Omit<Judged, 'judgement' | 'model'> {
  /** Milliseconds from the end of the upload. */
  readonly totalMs: number;
}

export interface Failure {
  readonly assignment: Assignment;
  readonly error: unknown;
  readonly totalMs: number;
}

export interface JointJudgement extends FusedAnalysis {
  readonly members: readonly Member[];
  readonly failures: readonly Failure[];
  readonly cache: CacheResult;
  readonly queueMs: number;
  readonly lookUpMs?: number;
}

export interface JointOptions extends Pick<JudgeOptions, 'signal' | 'priority' | 'cacheUse'> {
  readonly sha256: string;
  readonly onProgress: (model: string, step: ProgressStep) => void;
  /** A model has come to its end. */
  readonly onEnd: (outcome: Member | Failure) => void;
}

/**
 * Errors of the request, of the load or of the file as a whole: with them there is no answer, as a verdict must depend neither on how busy
 * the server is nor on which models a damaged file did not reach.
 */
const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'client_closed',
  'deadline_exceeded',
  'not_ready',
  'queue_full',
  'storage_failed',
  'corrupt_media',
]);

/** @throws ServiceError: those above; where every model failed, the error of the first */
export async function judgeTogether(
  { group, media, assignments, absentees }: JointPlan,
  { analyzer, judgements }: Pick<ServerDependencies, 'analyzer' | 'judgements'>,
  { sha256, signal, onProgress, onEnd, ...options }: JointOptions,
): Promise<JointJudgement> {
  const startedAt = performance.now();
  const refused = new AbortController();
  const ends = AbortSignal.any([signal, refused.signal]);
  const takeSeat = seating(assignments, analyzer, media.kind === 'video');
  const judge = async (assignment: Assignment, seat: Seat | undefined): Promise<Member | Failure> => {
    const model = assignment.model.name;
    const told = { ...options, signal: ends, onProgress: (step: ProgressStep) => onProgress(model, step) };
    try {
      const { judgement, ...judged } = await judgements.judge(assignment, sha256, { ...told, seat });
      if (judgement.type === 'refusal') throw new ServiceError(judgement.error);
      return { ...judged, analysis: judgement.analysis, totalMs: performance.now() - startedAt };
    } catch (error) {
      ends.throwIfAborted();
      if (error instanceof ServiceError && refusals.has(error.code)) {
        refused.abort(error);
        throw error;
      }
      return { assignment, error, totalMs: performance.now() - startedAt };
    } finally {
      seat?.leave();
    }
  };
  const seats = assignments.map(takeSeat);
  const outcomes = await Promise.all(
    assignments.map(async (assignment, at) => {
      const outcome = await judge(assignment, seats[at]);
      onEnd(outcome);
      return outcome;
    }),
  );
  const members = outcomes.flatMap((outcome) => ('analysis' in outcome ? [outcome] : []));
  const failures = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome] : []));
  if (members.length === 0) throw failures[0]?.error;
  const lookUps = members.flatMap(({ lookUpMs }) => lookUpMs ?? []);
  return {
    ...fusedAnalysis(group, members, [...failures.map(failed), ...absentees.map(absent)]),
    members,
    failures,
    cache: leastKnown(members.map(({ cache }) => cache)),
    queueMs: Math.max(...members.map(({ queueMs }) => queueMs)),
    ...(lookUps.length === 0 ? {} : { lookUpMs: Math.max(...lookUps) }),
  };
}

/** The models of the pictures of a video share their reading of the file; all others run beside each other. */
function seating(
  assignments: readonly Assignment[],
  analyzer: ServerDependencies['analyzer'],
  isVideo: boolean,
): (assignment: Assignment) => Seat | undefined {
  const together = isVideo ? assignments.filter(({ model }) => model.manifest.modality === 'video') : [];
  if (together.length < 2) return () => undefined;
  const run = new JointRun(analyzer, together.length);
  return (assignment) => (together.includes(assignment) ? run.seat() : undefined);
}

function failed({ assignment, error }: Failure): MissingModel {
  const model = assignment.model.name;
  if (!(error instanceof ServiceError))
    return { model, status: 'failed', reason: 'inference_failed', message: 'it failed inside the server' };
  // It was unloaded while its job waited.
  if (error.code === 'unknown_model') return absent({ model, reason: 'not_active' });
  return { model, status: 'failed', reason: error.code, message: messageOf(error) };
}

function absent({ model, reason }: Absentee): MissingModel {
  const messages = {
    not_active: 'it is not served at present',
    wrong_modality: 'it does not judge this kind of media',
  };
  return { model, status: 'missing', reason, message: messages[reason] };
}

/** What is true of all: an answer is a hit where every part of it is. */
function leastKnown(results: readonly CacheResult[]): CacheResult {
  const order: readonly CacheResult[] = ['bypass', 'miss', 'coalesced', 'hit'];
  return order.find((result) => results.includes(result)) ?? 'bypass';
}
