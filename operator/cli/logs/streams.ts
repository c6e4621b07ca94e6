/** Whose logs are read, and how their lines look. Pure. */
import type { Pod } from '../../controllers/kinds.ts';
import { usageError } from '../errors.ts';
import type { Paint, Style } from '../text.ts';

/** One run of a container: its log ends when the run ends. */
export interface LogStream {
  readonly pod: string;
  readonly namespace: string;
  readonly container: string;
  /** Of the container as the runtime knows it: tells one run from the next. */
  readonly id: string;
}

/**
 * The runs whose logs can be read: the latest of each container, one that has ended and waits to be started again too.
 * `previous`: those before the running ones.
 */
export function streamsOf(pods: readonly Pod[], container: string, previous = false): LogStream[] {
  return pods.toSorted(oldestFirst).flatMap(({ metadata, status }) => {
    const found = status?.containerStatuses?.find(({ name }) => name === container);
    const id = previous ? found?.lastState?.terminated?.containerID : found?.containerID;
    const { name: pod, namespace = '' } = metadata;
    return id ? [{ pod, namespace, container, id }] : [];
  });
}

const oldestFirst = ({ metadata: a }: Pod, { metadata: b }: Pod) =>
  (a.creationTimestamp ?? '').localeCompare(b.creationTimestamp ?? '') || a.name.localeCompare(b.name);

const PREFIX_STYLES: readonly Style[] = ['busy', 'good', 'warning', 'bold', 'dim'];

/** What stands before each line of a pod; pods that follow one another look different. */
export function prefixOf(pod: string, order: number, paint: Paint): string {
  return `${paint(PREFIX_STYLES[order % PREFIX_STYLES.length] ?? 'bold', `[${pod}]`)} `;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tail: string | undefined;
  readonly sinceMs: number | undefined;
  readonly timestamps: boolean;
}

/** Query of the API server's log subresource. @throws CommandError for a tail that is no count */
export function logQuery(container: string, options: LogOptions) {
  const { follow, previous, tail, sinceMs, timestamps } = options;
  if (tail !== undefined && !/^\d+$/.test(tail)) {
    throw usageError(`--tail has to be a number of lines; found "${tail}"`);
  }
  if (follow && previous) throw usageError('--previous is about a run that has ended: leave out --follow');
  return {
    container,
    follow: follow || undefined,
    previous: previous || undefined,
    timestamps: timestamps || undefined,
    tailLines: tail,
    sinceSeconds: sinceMs === undefined ? undefined : Math.max(1, Math.ceil(sinceMs / 1000)),
  };
}
