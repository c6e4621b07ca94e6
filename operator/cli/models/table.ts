/** DeepfakeModels as a table. Pure. */
import type { DeepfakeModel, ModelDeployment } from '../../controllers/kinds.ts';
import { mark } from '../status/render.ts';
import { age, type Drawing, oneLine, shortDigest, size, table } from '../text.ts';

export interface ModelsPage {
  readonly models: readonly DeepfakeModel[];
  /** Tell who uses a model. */
  readonly deployments: readonly ModelDeployment[];
  /** With the column of namespaces. */
  readonly everywhere: boolean;
  /** With claims, sources, attempts and whole digests. */
  readonly wide: boolean;
}

const TITLES = ['NAME', 'PHASE', 'VERSION', 'MODALITY', 'SIZE', 'DIGEST', 'CARD', 'USED BY', 'AGE'];

export function renderModels(page: ModelsPage, drawing: Drawing): string {
  const { everywhere, wide } = page;
  const titles = [
    ...(everywhere ? ['NAMESPACE'] : []),
    ...TITLES,
    ...(wide ? ['CLAIM', 'SOURCE', 'ATTEMPTS'] : []),
    'MESSAGE',
  ];
  const ordered = page.models.toSorted((a, b) => sortKey(a).localeCompare(sortKey(b)));
  const rows = ordered.map((model) => rowOf(model, page, drawing));
  return table([titles.map((title) => drawing.paint('bold', title)), ...rows]);
}

const sortKey = ({ metadata }: DeepfakeModel) => `${metadata.namespace}/${metadata.name}`;

function rowOf(model: DeepfakeModel, page: ModelsPage, { now, paint }: Drawing): string[] {
  const { metadata, status = {} } = model;
  const { card, digest, sizeBytes } = status;
  return [
    ...(page.everywhere ? [metadata.namespace ?? ''] : []),
    metadata.name,
    mark(status.phase ?? 'Pending', paint),
    card?.version ?? '-',
    card?.modality ?? '-',
    sizeBytes === undefined ? '-' : size(sizeBytes),
    digest === undefined ? '-' : page.wide ? digest : shortDigest(digest),
    card?.status ?? '-',
    usersOf(model, page.deployments).join(',') || '-',
    age(metadata.creationTimestamp, now),
    ...(page.wide ? wideCells(model) : []),
    oneLine(status.message ?? ''),
  ];
}

function wideCells({ spec, status }: DeepfakeModel): string[] {
  const [source = '-'] = Object.keys(spec.source);
  return [status?.pvc?.claimName ?? '-', source, String(status?.fetch?.attempts ?? '-')];
}

const usersOf = ({ metadata }: DeepfakeModel, deployments: readonly ModelDeployment[]) =>
  deployments
    .filter((deployment) => deployment.metadata.namespace === metadata.namespace)
    .filter(({ spec }) => spec.models.some(({ name }) => name === metadata.name))
    .map((deployment) => deployment.metadata.name)
    .sort();
