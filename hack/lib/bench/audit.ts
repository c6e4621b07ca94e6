/**
 * Counts what one user asks of the API server, from its audit log: the same measure for every client, whatever it says of
 * itself.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** An audit.k8s.io/v1 Policy: the requests of one user at their end (watches: at their start), nothing of anybody else. */
export const auditPolicy = (user: string) => ({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', users: [user] }, { level: 'None' }],
});

export interface RequestCounts {
  /** Without what keeps a Lease, which does not depend on the number of objects. */
  readonly total: number;
  readonly gets: number;
  readonly lists: number;
  /** Watches that began. */
  readonly watches: number;
  /** Creates, patches and deletes, Events not among them. */
  readonly writes: number;
  readonly events: number;
  readonly leases: number;
  /** Answered by 4xx or 5xx; each is in one of the others too. */
  readonly refused: number;
  /** By `VERB RESOURCE[/SUBRESOURCE]`, Leases not among them. */
  readonly byRequest: Readonly<Record<string, number>>;
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** The counts of a piece of an audit log, one JSON object per line. */
export function countRequests(text: string): RequestCounts {
  const byRequest: Record<string, number> = {};
  let leases = 0;
  let refused = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const { stage, verb, objectRef, responseStatus } = JSON.parse(line) as AuditEvent;
    if ((verb === 'watch') !== (stage === 'ResponseStarted')) continue;
    const { resource = 'none', subresource } = objectRef ?? {};
    if (resource === 'leases') {
      leases += 1;
      continue;
    }
    if ((responseStatus?.code ?? 0) >= 400) refused += 1;
    const name = `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
    byRequest[name] = (byRequest[name] ?? 0) + 1;
  }
  return { ...summed(byRequest), leases, refused };
}

export function addCounts(a: RequestCounts, b: RequestCounts): RequestCounts {
  const byRequest: Record<string, number> = { ...a.byRequest };
  for (const [name, count] of Object.entries(b.byRequest)) byRequest[name] = (byRequest[name] ?? 0) + count;
  return { ...summed(byRequest), leases: a.leases + b.leases, refused: a.refused + b.refused };
}

const WRITING = ['create', 'patch', 'update', 'delete'];

function summed(byRequest: Readonly<Record<string, number>>): Omit<RequestCounts, 'leases' | 'refused'> {
  const sum = (accept: (verb: string, resource: string) => boolean) =>
    Object.entries(byRequest)
      .filter(([name]) => accept(...(name.split(' ') as [string, string])))
      .reduce((total, [, count]) => total + count, 0);
  return {
    total: sum(() => true),
    gets: sum((verb) => verb === 'get'),
    lists: sum((verb) => verb === 'list'),
    watches: sum((verb) => verb === 'watch'),
    writes: sum((verb, resource) => WRITING.includes(verb) && resource !== 'events'),
    events: sum((verb, resource) => WRITING.includes(verb) && resource === 'events'),
    byRequest,
  };
}

/** Reads a log that somebody else appends to, piece by piece. */
export class AuditLog {
  readonly #path: string;
  #offset = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** What was asked since the last call; whole lines only, the rest belongs to the next call. */
  take(): RequestCounts {
    const size = statSync(this.#path).size;
    const bytes = Buffer.alloc(size - this.#offset);
    const file = openSync(this.#path, 'r');
    try {
      readSync(file, bytes, 0, bytes.length, this.#offset);
    } finally {
      closeSync(file);
    }
    const end = bytes.lastIndexOf('\n') + 1;
    this.#offset += end;
    return countRequests(bytes.subarray(0, end).toString());
  }
}
