/** What a namespace holds, without what differs between two runs that did the same. */
import { LABEL } from '../../../operator/api/names.ts';
import { DEEPFAKE_MODEL, JOB, MODEL_DEPLOYMENT } from '../../../operator/controllers/kinds.ts';
import type { KubeObject } from '../../../operator/runtime/object.ts';
import { digestAskedBy } from './kubelet.ts';
import { CHILDREN, type Witness } from './witness.ts';

/** Given by the API server, by chance or by the clock, or hashes of such. */
const VOLATILE = new Set([
  'resourceVersion',
  'generation',
  'observedGeneration',
  'managedFields',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'clusterIP',
  'clusterIPs',
  'data',
  'deepfake-operator.io/applied-hash',
]);
const UID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/** One line of JSON for each object, by kind and name. */
export function snapshot(witness: Witness, namespace: string): string[] {
  const kinds = [DEEPFAKE_MODEL, MODEL_DEPLOYMENT, ...CHILDREN];
  const objects = kinds.flatMap((kind) =>
    witness.live<KubeObject>(kind, namespace).map((object) => ({ ...object, kind: kind.kind })),
  );
  const fetches = witness
    .live(JOB, namespace)
    .map((job) => [job.metadata.labels?.[LABEL.fetch] ?? '', `fetch-of-${digestAskedBy(job)}`] as const);
  const told = (text: string) =>
    [[namespace, 'NAMESPACE'] as const, ...fetches].reduce(
      (line, [found, instead]) => line.replaceAll(found, instead),
      text.replace(TIME, 'TIME').replace(UID, 'UID'),
    );
  return objects
    .map((object) =>
      told(JSON.stringify(object, (key, value) => (VOLATILE.has(key) ? undefined : ordered(value)))),
    )
    .sort();
}

const ordered = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;
