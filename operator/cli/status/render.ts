/** Trees and lists as text. Pure. */
import { age, type Drawing, oneLine, type Paint, type Style, shortDigest, size, table } from '../text.ts';
import type { DeploymentTree, EventNode, ModelNode, PodNode, ReplicaSetNode } from './tree.ts';

const LOOKS: Readonly<Record<string, readonly [symbol: string, style: Style]>> = {
  Healthy: ['✔', 'good'],
  Ready: ['✔', 'good'],
  Running: ['✔', 'good'],
  Progressing: ['◌', 'busy'],
  Fetching: ['◌', 'busy'],
  Pending: ['◌', 'busy'],
  ContainerCreating: ['◌', 'busy'],
  PodInitializing: ['◌', 'busy'],
  Terminating: ['◌', 'dim'],
  Paused: ['‖', 'warning'],
};
/** Whatever else a container waits for is something that went wrong. */
const TROUBLE = ['✖', 'bad'] as const;

export function mark(state: string, paint: Paint): string {
  const [symbol, style] = LOOKS[state] ?? TROUBLE;
  return paint(style, `${symbol} ${state}`);
}

/** One deployment in full. */
export function renderTree(tree: DeploymentTree, drawing: Drawing): string {
  const sections = [
    table(headOf(tree, drawing)),
    table([
      ['NAME', 'KIND', 'STATUS', 'AGE', 'INFO'].map((title) => drawing.paint('bold', title)),
      ...branches(rootOf(tree, drawing)),
    ]),
    ...titled('CONDITIONS', conditionRows(tree, drawing), drawing),
    ...titled(
      'EVENTS',
      tree.events.map((event) => eventRow(event, drawing)),
      drawing,
    ),
  ];
  return sections.join('\n\n');
}

/** Many deployments, one a line. */
export function renderList(trees: readonly DeploymentTree[], everywhere: boolean, drawing: Drawing): string {
  const titles = ['NAME', 'STATUS', 'READY', 'UP-TO-DATE', 'MODELS', 'DEVICE', 'AGE', 'MESSAGE'];
  const rows = trees.map((tree) => [
    ...(everywhere ? [tree.namespace] : []),
    tree.name,
    mark(tree.phase, drawing.paint),
    tree.pods ? `${tree.pods.ready}/${tree.pods.total}` : '-',
    tree.pods ? String(tree.pods.updated) : '-',
    tree.models.map(({ name }) => name).join(','),
    tree.device,
    age(tree.createdAt, drawing.now),
    oneLine(tree.message),
  ]);
  const header = [...(everywhere ? ['NAMESPACE'] : []), ...titles];
  return table([header.map((title) => drawing.paint('bold', title)), ...rows]);
}

function headOf({ revision, pods, ...tree }: DeploymentTree, { paint }: Drawing): string[][] {
  const { current, stable } = revision;
  const revisions =
    current === stable ? current : [current, stable && `stable ${stable}`].filter(Boolean).join(', ');
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Name:', tree.name],
    ['Namespace:', tree.namespace],
    ['Status:', mark(tree.phase, paint)],
    ['Message:', oneLine(tree.message)],
    ['Device:', tree.device],
    ['Revision:', revisions],
    [
      'Pods:',
      pods &&
        `${pods.total}, of them ${pods.updated} up to date, ${pods.ready} ready, ${pods.available} available`,
    ],
    ['Endpoint:', tree.endpoint],
    ['API key:', tree.authSecret && `key ${tree.authSecret.key} of Secret ${tree.authSecret.name}`],
  ];
  return rows.flatMap(([title, value]) => (value ? [[title, value]] : []));
}

export interface Branch {
  readonly cells: readonly string[];
  readonly children: readonly Branch[];
}

function rootOf(tree: DeploymentTree, drawing: Drawing): Branch {
  const { name, phase, createdAt, models, tracks } = tree;
  const group = (title: string, children: readonly Branch[]): Branch => ({ cells: [title], children });
  return {
    cells: [name, 'ModelDeployment', mark(phase, drawing.paint), age(createdAt, drawing.now)],
    children: [
      group(
        'models',
        models.map((model) => modelBranch(model, drawing)),
      ),
      ...tracks.map((track) =>
        group(
          // Pods of a revision that has a Deployment of its own belong to no track: what they are moves on without them.
          track.name === '' ? 'revisions' : `track ${track.name}`,
          track.replicaSets.map((set) => replicaSetBranch(set, drawing)),
        ),
      ),
    ],
  };
}

function modelBranch(model: ModelNode, { now, paint }: Drawing): Branch {
  const { name, phase, createdAt, digest, servedDigest, sizeBytes } = model;
  const info = [
    model.version,
    model.modality,
    sizeBytes === undefined ? undefined : size(sizeBytes),
    digest && shortDigest(digest),
    servedDigest && `pods serve ${shortDigest(servedDigest)}`,
    model.cardStatus,
    phase === 'Ready' ? undefined : oneLine(model.message),
  ];
  const cells = [name, 'DeepfakeModel', mark(phase, paint), age(createdAt, now), joined(info)];
  return { cells, children: [] };
}

function replicaSetBranch(set: ReplicaSetNode, drawing: Drawing): Branch {
  const full = set.ready === set.wanted;
  const counts = `${full ? '✔' : '◌'} ${set.ready}/${set.wanted} ready`;
  return {
    cells: [
      `revision ${set.revision ?? 'unknown'}`,
      'ReplicaSet',
      drawing.paint(full ? 'good' : 'busy', counts),
      age(set.createdAt, drawing.now),
      joined([set.roles.join(' and '), set.name]),
    ],
    children: set.pods.map((pod) => podBranch(pod, drawing)),
  };
}

export function podBranch(pod: PodNode, { now, paint }: Drawing): Branch {
  const info = [
    pod.ready ? 'ready' : 'not ready',
    pod.restarts > 0 ? `${pod.restarts} restarts` : undefined,
    pod.node && `on ${pod.node}`,
    pod.problem && paint('bad', oneLine(pod.problem)),
  ];
  const waits = pod.state === 'Running' && !pod.ready;
  const state = waits ? paint('busy', '◌ Running') : mark(pod.state, paint);
  return { cells: [pod.name, 'Pod', state, age(pod.createdAt, now), joined(info)], children: [] };
}

export const joined = (parts: readonly (string | undefined)[]) => parts.filter(Boolean).join(', ');

export function branches({ cells, children }: Branch, lead = '', indent = ''): string[][] {
  const [name = '', ...others] = cells;
  return [
    [lead + name, ...others],
    ...children.flatMap((child, at) => {
      const last = at === children.length - 1;
      return branches(child, `${indent}${last ? '└─ ' : '├─ '}`, `${indent}${last ? '   ' : '│  '}`);
    }),
  ];
}

/** Conditions that are bad news when they are true. */
const NEGATIVE = ['Degraded', 'DeletionBlocked'];

function conditionRows({ conditions }: DeploymentTree, { now, paint }: Drawing): string[][] {
  return conditions.map(({ type, status, reason, message, lastTransitionTime }) => {
    const good = status === (NEGATIVE.includes(type) ? 'False' : 'True');
    const style = status === 'Unknown' ? 'busy' : good ? 'good' : 'bad';
    return [type, paint(style, status), reason, age(lastTransitionTime, now), oneLine(message)];
  });
}

function eventRow(
  { type, reason, regarding, message, count, at }: EventNode,
  { now, paint }: Drawing,
): string[] {
  const often = count > 1 ? ` (x${count})` : '';
  return [
    type === 'Warning' ? paint('warning', type) : type,
    reason,
    age(at, now) + often,
    regarding,
    oneLine(message),
  ];
}

export const titled = (title: string, rows: readonly (readonly string[])[], { paint }: Drawing) =>
  rows.length === 0 ? [] : [`${paint('bold', title)}\n${table(rows)}`];
