/** Which ModelDeployment and which pod are asked about a file. Pure. */
import type { DeepfakeModel, ModelDeployment, Pod } from '../../controllers/kinds.ts';
import { CommandError } from '../errors.ts';
import { isServing } from '../status/tree.ts';

export type Modality = 'image' | 'audio' | 'video';

/** Containers that hold sound alone as well as moving pictures. */
const EITHER = ['video/mp4', 'video/webm', 'video/matroska', 'video/quicktime'];

/** What detectors may be asked about a media type; empty: it is not known what the file is. */
export function modalitiesOf(mime: string | undefined): readonly Modality[] {
  if (mime === undefined) return [];
  if (EITHER.includes(mime)) return ['video', 'audio'];
  const found = (['image', 'audio', 'video'] as const).find((modality) => mime.startsWith(`${modality}/`));
  return found ? [found] : [];
}

export interface Wanted {
  readonly namespace: string;
  readonly deployment: string | undefined;
  readonly model: string | undefined;
  readonly modalities: readonly Modality[];
}

/** @throws CommandError where none fits, or several do and nothing says which */
export function chooseDeployment(
  wanted: Wanted,
  deployments: readonly ModelDeployment[],
  models: readonly DeepfakeModel[],
): ModelDeployment {
  const { namespace, deployment, model, modalities } = wanted;
  const within = `in namespace ${namespace}`;
  if (deployment !== undefined) {
    const named = deployments.find(({ metadata }) => metadata.name === deployment);
    if (!named) throw new CommandError(`there is no ModelDeployment ${deployment} ${within}`);
    return named;
  }
  const fitting = deployments.filter(({ spec }) =>
    model === undefined
      ? modalities.length === 0 || spec.models.some(({ name }) => isOf(name, models, modalities))
      : spec.models.some(({ name }) => name === model),
  );
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  if (only) {
    const choice = namesOf(fitting);
    throw new CommandError(
      `several ModelDeployments ${within} ${purposeOf(wanted, '')}: choose one of ${choice} by --deployment`,
    );
  }
  const others = deployments.length === 0 ? 'there are none' : `there are ${namesOf(deployments)}`;
  throw new CommandError(`no ModelDeployment ${within} ${purposeOf(wanted, 's')}: ${others}`);
}

const namesOf = (deployments: readonly ModelDeployment[]) =>
  deployments
    .map(({ metadata }) => metadata.name)
    .sort()
    .join(', ');

/** `ending`: of the verb. */
function purposeOf({ model, modalities }: Wanted, ending: 's' | ''): string {
  if (model !== undefined) return `serve${ending} model ${model}`;
  return modalities.length === 0 ? 'may analyse this file' : `analyse${ending} ${modalities.join(' or ')}`;
}

function isOf(name: string, models: readonly DeepfakeModel[], modalities: readonly Modality[]): boolean {
  const model = models.find(({ metadata }) => metadata.name === name);
  const modality = model?.status?.card?.modality ?? model?.spec.modality;
  return modalities.some((candidate) => candidate === modality);
}

/** Where a pod listens. */
export interface Target {
  readonly pod: string;
  readonly namespace: string;
  readonly port: number;
}

/** @throws CommandError with the deployment's own words where no pod is ready */
export function choosePod(deployment: ModelDeployment, pods: readonly Pod[]): Target {
  const { name, namespace = '' } = deployment.metadata;
  for (const pod of pods.filter(isServing)) {
    const ports = pod.spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
    const port = ports.find((candidate) => candidate.name === 'http')?.containerPort;
    if (port !== undefined) return { pod: pod.metadata.name, namespace, port };
  }
  const why = deployment.status?.message ?? 'the operator has not seen it yet';
  throw new CommandError(`ModelDeployment ${name} in namespace ${namespace} has no ready pod: ${why}`);
}
