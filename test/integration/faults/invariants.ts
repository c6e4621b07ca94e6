/** What has to hold at every moment, whoever crashed: functions of a namespace's history that name what broke. */
import { IN_USE_FINALIZER, LABEL } from '../../../operator/api/names.ts';
import { revisionIn } from '../../../operator/controllers/deployment/revision.ts';
import {
  DEEPFAKE_MODEL,
  DEPLOYMENT,
  type DeepfakeModel,
  type Deployment,
  JOB,
  type Job,
  MODEL_DEPLOYMENT,
  type ModelDeployment,
  POD,
  type Pod,
  PVC,
  SECRET,
  SERVICE,
  type Service,
} from '../../../operator/controllers/kinds.ts';
import { controllerOf, type Kind, type KubeObject } from '../../../operator/runtime/object.ts';
import { CHILDREN, type Sighting } from './witness.ts';

type Invariant = (history: readonly Sighting[]) => string[];

const CHILD_KINDS = new Set(CHILDREN.map(({ kind }) => kind));
const named = ({ kind, object }: Sighting) => `${kind} ${object.metadata.name}`;
const live = ({ gone, object }: Sighting) => !gone && object.metadata.deletionTimestamp === undefined;
/** An operator may learn of a user of a model this much later than the witness, ms. */
const NEWS_MS = 2_000;

const ofKind = <T extends KubeObject>(history: readonly Sighting[], { kind }: Kind<T>): Sighting<T>[] =>
  history.filter((sighting) => sighting.kind === kind) as Sighting<T>[];

/** Calls `check` after every sighting with the objects that live then, by `kind name`. */
function atEveryMoment(
  history: readonly Sighting[],
  check: (now: ReadonlyMap<string, Sighting>, last: Sighting) => string[],
): string[] {
  const now = new Map<string, Sighting>();
  return history.flatMap((sighting) => {
    if (sighting.gone) now.delete(named(sighting));
    else now.set(named(sighting), sighting);
    return check(now, sighting);
  });
}

function repeated<T>(items: Iterable<T>, keyOf: (item: T) => string | undefined): string[] {
  const keys = [...items].map(keyOf).filter((key) => key !== undefined);
  return [...new Set(keys.filter((key, index) => keys.indexOf(key) !== index))];
}

/** A child that nobody took away is made once: one Job per attempt, one claim, one Deployment, one key. */
const madeOnce: Invariant = (history) => {
  const uids = Map.groupBy(
    history.filter(({ kind }) => CHILD_KINDS.has(kind)),
    named,
  );
  return [...uids].flatMap(([name, seen]) => {
    const made = new Set(seen.map(({ object }) => object.metadata.uid)).size;
    return made > 1 ? [`${name} was made ${made} times`] : [];
  });
};

/** Never two Deployments for one track or revision, nor two running Jobs for one fetch. */
const neverTwo: Invariant = (history) =>
  atEveryMoment(history, (now, { kind }) => {
    if (kind !== DEPLOYMENT.kind && kind !== JOB.kind) return [];
    const rivals = [...now.values()].filter((sighting) => sighting.kind === kind && live(sighting));
    return repeated(rivals, ({ object }) => {
      const labels = object.metadata.labels ?? {};
      if (kind === DEPLOYMENT.kind)
        return `Deployment of ${labels[LABEL.modelDeployment]} ${labels[LABEL.track] ?? labels[LABEL.revision]}`;
      const ended = (object as Job).status?.conditions?.length;
      return ended ? undefined : `Job of ${labels[LABEL.model]} ${labels[LABEL.fetch]}`;
    }).map((twice) => `two at once: ${twice}`);
  });

/** Whatever the operator makes goes with somebody; a claim may be held for the deployments that serve from it. */
const owned: Invariant = (history) => {
  const owners = new Set(
    [...ofKind(history, DEEPFAKE_MODEL), ...ofKind(history, MODEL_DEPLOYMENT)].map(
      ({ object }) => object.metadata.uid,
    ),
  );
  return history
    .filter(({ kind }) => CHILD_KINDS.has(kind) && kind !== PVC.kind)
    .filter(({ object }) => !owners.has(controllerOf(object)?.uid))
    .map((sighting) => `${named(sighting)} belongs to nobody`);
};

/** A key is made once for its owner and never rotated. */
const keyKept: Invariant = (history) => {
  const keys = Map.groupBy(ofKind(history, SECRET), ({ object }) => controllerOf(object)?.uid);
  return [...keys.values()].flatMap((seen) => {
    const values = new Set(seen.map(({ object }) => JSON.stringify(object.data)));
    return values.size > 1 ? [`Secret ${seen[0]?.object.metadata.name} was replaced`] : [];
  });
};

/** A model that is used does not go, and stays held. */
const held: Invariant = (history) => {
  const before = new Map<string, DeepfakeModel>();
  return atEveryMoment(history, (now, last) => {
    if (last.kind !== DEEPFAKE_MODEL.kind) return [];
    const model = last.object as DeepfakeModel;
    const { name, uid = '' } = model.metadata;
    const wasHeld = before.get(uid)?.metadata.finalizers?.includes(IN_USE_FINALIZER) ?? false;
    before.set(uid, model);
    const isHeld = !last.gone && (model.metadata.finalizers?.includes(IN_USE_FINALIZER) ?? false);
    if (!wasHeld || isHeld) return [];
    const users = [...now.values()].filter((sighting) => isUser(sighting, name, last.at));
    return users.map(
      ({ object }) => `DeepfakeModel ${name} was let go while ${object.metadata.name} uses it`,
    );
  });
};

function isUser(sighting: Sighting, model: string, at: number): boolean {
  if (sighting.kind !== MODEL_DEPLOYMENT.kind || !live(sighting)) return false;
  const { spec, metadata } = sighting.object as ModelDeployment;
  const known = at - Date.parse(metadata.creationTimestamp ?? '') > NEWS_MS && at - sighting.at >= 0;
  return known && spec.models.some(({ name }) => name === model);
}

const isTrue = (object: DeepfakeModel | ModelDeployment, type: string) =>
  object.status?.conditions?.some((found) => found.type === type && found.status === 'True') ?? false;

/** Ready is only what a fetch has verified before, and what the spec asks for. */
const verifiedFirst: Invariant = (history) => {
  const verified = new Set<string>();
  return history.flatMap((sighting) => {
    if (sighting.kind === POD.kind) {
      for (const digest of digestsTold(sighting.object as Pod)) verified.add(digest);
    }
    const wrong = sighting.gone ? undefined : unverified(sighting, verified);
    return wrong ? [`${named(sighting)} ${wrong}`] : [];
  });
};

const digestsTold = ({ status }: Pod): string[] =>
  (status?.containerStatuses ?? []).flatMap(({ state }) => {
    if (state?.terminated?.exitCode !== 0) return [];
    return /"digest":"([^"]+)"/.exec(state.terminated.message ?? '')?.[1] ?? [];
  });

function unverified({ kind, object }: Sighting, verified: ReadonlySet<string>): string | undefined {
  if (kind === DEEPFAKE_MODEL.kind) {
    const { metadata, spec, status } = object as DeepfakeModel;
    if (status?.digest !== undefined && !verified.has(status.digest))
      return `shows ${status.digest}, never verified`;
    if (!isTrue(object as DeepfakeModel, 'Ready')) return undefined;
    if (status?.digest === undefined) return 'is Ready without a digest';
    const current = status.observedGeneration === metadata.generation;
    return current && spec.digest !== undefined && spec.digest !== status.digest
      ? `is Ready with ${status.digest} instead of ${spec.digest}`
      : undefined;
  }
  if (kind !== MODEL_DEPLOYMENT.kind || !isTrue(object as ModelDeployment, 'Ready')) return undefined;
  const wrong = ((object as ModelDeployment).status?.models ?? []).find(
    ({ digest }) => !verified.has(digest),
  );
  return wrong && `is Ready with ${wrong.digest}, never verified`;
}

/** The count of attempts of a fetch only grows. */
const attemptsGrow: Invariant = (history) => {
  const counts = new Map<string, number>();
  return ofKind(history, DEEPFAKE_MODEL).flatMap(({ object: { metadata, status } }) => {
    if (!status?.fetch) return [];
    const { id, attempts } = status.fetch;
    const key = `${metadata.uid} ${id}`;
    const before = counts.get(key) ?? 0;
    counts.set(key, attempts);
    return attempts < before ? [`DeepfakeModel ${metadata.name}: attempt ${before}, then ${attempts}`] : [];
  });
};

/**
 * Clients are sent to a revision without an available pod only while no other has any. (The canary's own Service is not asked by
 * clients unless a route says so.)
 */
const sentToReadyPods: Invariant = (history) =>
  atEveryMoment(history, (now, last) => {
    if (last.kind !== SERVICE.kind && last.kind !== DEPLOYMENT.kind) return [];
    const objects = [...now.values()].filter(live);
    const available = new Map(
      objects
        .filter(({ kind }) => kind === DEPLOYMENT.kind)
        .map(({ object }) => [revisionIn(object as Deployment), availableIn(object as Deployment)]),
    );
    if ([...available.values()].every((pods) => pods === 0)) return [];
    return objects
      .filter(
        ({ kind, object }) => kind === SERVICE.kind && object.metadata.labels?.[LABEL.track] !== 'canary',
      )
      .flatMap(({ object }) => {
        const revision = (object as Service).spec?.selector?.[LABEL.revision];
        if (revision === undefined || (available.get(revision) ?? 0) > 0) return [];
        return [`Service ${object.metadata.name} selects ${revision}, of which no pod is available`];
      });
  });

const availableIn = ({ status }: Deployment) => status?.availableReplicas ?? 0;

export const INVARIANTS = {
  madeOnce,
  neverTwo,
  owned,
  keyKept,
  held,
  verifiedFirst,
  attemptsGrow,
  sentToReadyPods,
} as const;
export type InvariantName = keyof typeof INVARIANTS;

/** Everything that broke. `except`: what a test breaks itself, such as by deleting children. */
export const violations = (history: readonly Sighting[], except: readonly InvariantName[] = []): string[] =>
  Object.entries(INVARIANTS)
    .filter(([name]) => !except.includes(name as InvariantName))
    .flatMap(([name, invariant]) => invariant(history).map((text) => `${name}: ${text}`));
