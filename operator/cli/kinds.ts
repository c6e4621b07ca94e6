/** Kinds that only a person looks at: the operator does without them. */
import type { CoreV1Event, V1ReplicaSet } from '@kubernetes/client-node';
import type { Kind, Raw } from '../runtime/object.ts';

export type ReplicaSet = Raw<V1ReplicaSet>;
export type Event = Raw<CoreV1Event>;

export const REPLICA_SET: Kind<ReplicaSet> = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  plural: 'replicasets',
  namespaced: true,
};
/** The same events as in events.k8s.io, in the group that the cluster role `view` lets people read. */
export const EVENT: Kind<Event> = { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true };
