/** From the models that a ModelDeployment names to packages that a pod can mount. Pure. */
import { accessModeOf, type MountedClaim } from '../claims.ts';
import type { DeepfakeModel } from '../kinds.ts';
import { artifactOf } from '../model/status.ts';
import type { Problem } from '../problems.ts';

/** A verified package on a claim. */
export interface ServedModel extends MountedClaim {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** The package's folder on the claim. */
  readonly path: string;
}

export interface ModelResolution {
  /** Every model named, or undefined while one of them has no verified package at all. */
  readonly served: readonly ServedModel[] | undefined;
  /** The first model that is not what its spec asks for. It may still be served in its last verified version. */
  readonly problem: (Problem & { readonly failed: boolean }) | undefined;
}

export function resolveModels(
  names: readonly string[],
  find: (name: string) => DeepfakeModel | undefined,
): ModelResolution {
  const found = names.map((name) => ({ name, model: find(name) }));
  const served = found.flatMap(({ name, model }) => servedModel(name, model) ?? []);
  const problems = found.flatMap(({ name, model }) => modelProblem(name, model) ?? []);
  return {
    served: served.length === names.length ? served : undefined,
    problem: problems.find(({ failed }) => failed) ?? problems[0],
  };
}

function servedModel(name: string, model: DeepfakeModel | undefined): ServedModel | undefined {
  const artifact = artifactOf(model?.status);
  if (!artifact) return undefined;
  const { digest, sizeBytes, card, pvc } = artifact;
  const { claimName, path } = pvc;
  // The claim is of the user, who may forbid to write to it.
  const readOnly = model?.spec.source.pvc?.claimName === claimName;
  const accessMode = accessModeOf(pvc.accessMode);
  return {
    name,
    version: card.version,
    digest,
    sizeBytes,
    claimName,
    path,
    ...(accessMode === undefined ? {} : { accessMode }),
    ...(readOnly ? { readOnly } : {}),
  };
}

function modelProblem(name: string, model: DeepfakeModel | undefined) {
  if (!model)
    return { reason: 'ModelNotFound', message: `DeepfakeModel ${name} does not exist`, failed: true };
  const { status, metadata } = model;
  if (status?.phase === 'Ready' && status.observedGeneration === metadata.generation) return undefined;
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const why = ready ? `${ready.reason}: ${ready.message}` : 'not looked at yet';
  // Between two attempts of a fetch that fails it is no news that the next one runs.
  const failure = status?.fetch?.reason ?? (status?.phase === 'Failed' ? ready?.reason : undefined);
  const message = `DeepfakeModel ${name}: ${why}`;
  if (failure !== undefined) return { reason: failure, message, failed: true };
  return {
    reason: status?.phase === 'Fetching' ? 'WeightsFetching' : 'ModelNotReady',
    message,
    failed: false,
  };
}
