/** What the verbs of a rollout do: a ModelDeployment becomes a patch, or a refusal that says what to do instead. Pure. */
import type { ModelDeployment } from '../../controllers/kinds.ts';
import { timestamp } from '../../runtime/conditions.ts';
import { type Revision, type Situation, situationOf, stepPlace } from './situation.ts';

/** A merge patch, without the resourceVersion that makes it one of the object that was looked at. */
export interface Patch {
  readonly does: 'patch';
  /** undefined: of the object itself. */
  readonly subresource: 'status' | undefined;
  readonly body: object;
  /** What is so afterwards. */
  readonly says: string;
}
export interface Refusal {
  readonly does: 'refuse';
  readonly because: string;
}
export type Decision = Patch | Refusal;
/** `nowMs`: since the epoch. */
export type Verb = (deployment: ModelDeployment, nowMs: number) => Decision;

const ofStatus = (status: object, says: string): Patch => ({
  does: 'patch',
  subresource: 'status',
  body: { status },
  says,
});
const ofSpec = (spec: object, says: string): Patch => ({
  does: 'patch',
  subresource: undefined,
  body: { spec },
  says,
});
const refuse = (because: string): Refusal => ({ does: 'refuse', because });

/** Why a verb makes no sense now; the first that applies is told. */
type Check = (situation: Situation) => string | undefined;

/** `d is Paused at step 2/6 (pause until promoted)` */
function state({ name, phase, step }: Situation): string {
  return `${name} is ${phase}${step ? ` at ${stepPlace(step)}` : ''}`;
}

const hasStrategy: Check = ({ name, strategy }) =>
  strategy === 'rollingUpdate'
    ? `${name} has no rollout to steer: its strategy is rollingUpdate; set spec.strategy.canary or spec.strategy.blueGreen`
    : undefined;

const wasSeen: Check = ({ name, seen, phase }) =>
  seen
    ? undefined
    : `${name} is ${phase}: the operator has not looked at its latest change yet; try again in a moment`;

const isNotHeld: Check = ({ held, ...situation }) =>
  held
    ? `${state({ held, ...situation })} and spec.paused is true: nothing is rolled out until it is false`
    : undefined;

const isUnderWay =
  (instead: string): Check =>
  (situation) => {
    if (situation.underWay) return undefined;
    const { stable, phase, name } = situation;
    return stable === undefined
      ? `${name} is ${phase} and serves its first revision, which has no steps: wait for it, or change the spec`
      : `${name} is ${phase} and serves revision ${stable} alone: nothing is rolled out now; ${instead}`;
  };

const isNotAborted: Check = (situation) =>
  situation.aborted
    ? `${state(situation)}: the rollout was aborted; retry it, undo it or change the spec`
    : undefined;

function firstOf(situation: Situation, ...checks: readonly Check[]): Refusal | undefined {
  for (const check of checks) {
    const because = check(situation);
    if (because !== undefined) return refuse(because);
  }
  return undefined;
}

const reasons = ({ pauses }: Situation) => pauses.map(({ reason }) => reason).join(', ');

/** Ends the pause, whoever made it. */
export const promote: Verb = (deployment) => {
  const situation = situationOf(deployment);
  const isPaused: Check = ({ pauses }) =>
    pauses.length > 0
      ? undefined
      : `${state(situation)} and waits for nobody: promote --full skips the remaining steps`;
  const refusal = firstOf(
    situation,
    hasStrategy,
    wasSeen,
    isNotHeld,
    isUnderWay('change the spec to begin a rollout'),
    isNotAborted,
    isPaused,
  );
  if (refusal) return refusal;
  const place = situation.step ? ` at ${stepPlace(situation.step)}` : '';
  return ofStatus({ pauseConditions: null }, `promoted: it no longer waits${place} (${reasons(situation)})`);
};

/** Skips the steps that are left, pauses and analyses with them; of an aborted rollout, all of them. */
export const promoteFully: Verb = (deployment) => {
  const situation = situationOf(deployment);
  const isNews: Check = ({ promotedFully }) =>
    promotedFully
      ? `${state(situation)} and was promoted in full already: wait with rollout status`
      : undefined;
  const refusal = firstOf(
    situation,
    hasStrategy,
    wasSeen,
    isNotHeld,
    isUnderWay('change the spec to begin a rollout'),
    isNews,
  );
  if (refusal) return refusal;
  return ofStatus(
    { promoteFull: true, pauseConditions: null },
    `promoted in full: revision ${situation.current} takes over without the remaining steps and analyses`,
  );
};

const pausedByUser = ({ pauses }: Situation) => pauses.find(({ reason }) => reason === 'PausedByUser');

/** Adds a reason to wait to those that there are. */
export const pause: Verb = (deployment, nowMs) => {
  const situation = situationOf(deployment);
  const isNews: Check = (now) => {
    const since = pausedByUser(now)?.startTime;
    return since === undefined
      ? undefined
      : `${state(now)} and was paused by a person at ${since}: resume ends that`;
  };
  const refusal = firstOf(
    situation,
    hasStrategy,
    wasSeen,
    isUnderWay('spec.paused: true holds later changes back'),
    isNotAborted,
    isNews,
  );
  if (refusal) return refusal;
  const mine = { reason: 'PausedByUser', startTime: timestamp(nowMs) };
  const place = situation.step ? ` at ${stepPlace(situation.step)}` : '';
  return ofStatus(
    { pauseConditions: [...situation.pauses, mine] },
    `paused${place}: resume or promote goes on`,
  );
};

/** Takes out what `pause` added, and nothing else. */
export const resume: Verb = (deployment) => {
  const situation = situationOf(deployment);
  const isPausedByUser: Check = (now) => {
    if (pausedByUser(now)) return undefined;
    return now.pauses.length === 0
      ? `${state(now)} and is not paused: there is nothing to resume`
      : `${state(now)} because of ${reasons(now)}, not by a person: promote goes on`;
  };
  const refusal = firstOf(situation, hasStrategy, isPausedByUser);
  if (refusal) return refusal;
  const left = situation.pauses.filter(({ reason }) => reason !== 'PausedByUser');
  const still = left.map(({ reason }) => reason).join(', ');
  return ofStatus(
    { pauseConditions: left.length === 0 ? null : left },
    still === '' ? 'resumed' : `resumed, and waits still because of ${still}: promote ends that`,
  );
};

/** Sends all requests to the stable revision. The spec stays as it is. */
export const abort: Verb = (deployment) => {
  const situation = situationOf(deployment);
  const isNews: Check = (now) =>
    now.aborted ? `${state(now)} and was aborted already: retry takes it up again` : undefined;
  const isUnpromoted: Check = (now) => isUnderWay('undo goes back to an earlier revision')(now);
  const refusal = firstOf(situation, hasStrategy, wasSeen, isNews, isUnpromoted);
  if (refusal) return refusal;
  const { stable, current } = situation;
  return ofStatus(
    { abort: true },
    `aborted: requests go back to revision ${stable}; the spec still asks for ${current}: retry, undo or change it`,
  );
};

/** Begins the steps anew after an abort. */
export const retry: Verb = (deployment) => {
  const situation = situationOf(deployment);
  const isAborted: Check = (now) =>
    now.aborted
      ? undefined
      : `${state(now)} and was not aborted: there is nothing to retry${now.phase === 'Degraded' ? `; what is wrong: ${now.message}` : ''}`;
  const refusal = firstOf(situation, hasStrategy, isAborted, isNotHeld);
  if (refusal) return refusal;
  return ofStatus({ abort: false }, `revision ${situation.current} begins again at the first step`);
};

const keptText = (revisions: readonly Revision[]) =>
  revisions.length === 0
    ? 'none is kept'
    : `kept are ${revisions.map(({ revision }) => revision).join(', ')}`;

/** Serves a kept revision whatever else the spec says. `to` undefined: the one before. */
export const undo =
  (to?: string): Verb =>
  (deployment) => {
    const situation = situationOf(deployment);
    const refusal = firstOf(situation, hasStrategy, wasSeen);
    if (refusal) return refusal;
    const target = to ?? before(situation);
    const { revisions } = situation;
    if (target === undefined) {
      return refuse(
        `${state(situation)} and no revision was stable before it: ${keptText(revisions)}; --to-revision goes to any of them`,
      );
    }
    if (!revisions.some(({ revision }) => revision === target)) {
      return refuse(
        `${state(situation)} and revision ${target} is not kept: ${keptText(revisions)}; see rollout history`,
      );
    }
    const asked = situation.rollbackTo ?? situation.current;
    if (target === asked) {
      return refuse(
        `${state(situation)} and revision ${target} is what it serves or goes to already: choose another with --to-revision`,
      );
    }
    return ofSpec(
      { rollbackTo: target },
      `goes back to revision ${target} whatever the rest of the spec says, until undo --cancel`,
    );
  };

/**
 * The stable revision while another is on its way; else the one that was stable before what serves. An undo of an undo goes further
 * back, never forth again. One that was never stable is only gone to by name.
 */
function before({ rollbackTo, current, stable, underWay, revisions }: Situation): string | undefined {
  if (underWay && rollbackTo === undefined) return stable;
  const from = rollbackTo ?? current;
  const names = revisions.map(({ revision }) => revision);
  const candidates = rollbackTo === undefined ? revisions : revisions.slice(names.indexOf(rollbackTo) + 1);
  const proved = candidates.filter(({ revision, promotedAt }) => promotedAt && revision !== from);
  return proved.toSorted((a, b) => (b.promotedAt ?? '').localeCompare(a.promotedAt ?? ''))[0]?.revision;
}

/** Takes the undo out: the rest of the spec counts again. */
export const cancelUndo: Verb = (deployment) => {
  const situation = situationOf(deployment);
  if (situation.rollbackTo === undefined) {
    return refuse(`${state(situation)} and spec.rollbackTo is not set: there is no undo to cancel`);
  }
  return ofSpec(
    { rollbackTo: null },
    `no longer held at revision ${situation.rollbackTo}: the rest of the spec is rolled out`,
  );
};
