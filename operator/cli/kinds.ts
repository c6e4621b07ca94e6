/** A kind that only a person looks at: the operator does without it. */
import type { CoreV1Event } from '@kubernetes/client-node';
import type { Kind, Raw } from '../runtime/object.ts';

export type Event = Raw<CoreV1Event>;

/** The same events as in events.k8s.io, in the group that the cluster role `view` lets people read. */
export const EVENT: Kind<Event> = { apiVersion: 'v1', kind: 'Event', plural: 'events', namespaced: true };
