/** A small server that answers as the Hugging Face Hub does: files by `resolve`, large ones by a redirect to a store of another origin. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export const token = 'hf_aTokenOfTheReader';
const largeBytes = 100_000;

export interface Hub {
  readonly endpoint: string;
  /** What the hub and its store were asked, in order. */
  readonly asked: { readonly hub: IncomingMessage[]; readonly store: IncomingMessage[] };
  /** Breaks the next answers of the store after so many bytes. */
  breakStore(times: number, afterBytes: number): void;
  close(): void;
}

/**
 * @param repositories files by `owner/name/revision`; a repository whose name has `gated` in it wants a token, one with `restricted`
 * wants the token of another account
 */
export async function startHub(repositories: ReadonlyMap<string, ReadonlyMap<string, Buffer>>): Promise<Hub> {
  const asked = { hub: [] as IncomingMessage[], store: [] as IncomingMessage[] };
  const breaks = { times: 0, afterBytes: 0 };
  const stored = new Map<string, Buffer>();
  const store = await listen((request, response) => {
    asked.store.push(request);
    const content = stored.get((request.url ?? '').replace(/^\/|\?.*$/g, ''));
    if (content === undefined) return void response.writeHead(403).end();
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start === 0 ? 200 : 206, {
      etag: `"${sha256(content).slice(0, 32)}"`,
      'content-length': content.length - start,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    });
    if (request.method === 'HEAD') return void response.end();
    if (breaks.times === 0) return void response.end(content.subarray(start));
    breaks.times -= 1;
    response.write(content.subarray(start, start + breaks.afterBytes), () => response.socket?.end());
  });
  const hub = await listen((request, response) => {
    asked.hub.push(request);
    const refuse = (status: number, code: string, message: string): void => {
      response.writeHead(status, { 'x-error-code': code, 'x-error-message': message }).end();
    };
    const [, repository = '', revision = '', path = ''] =
      /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url ?? '') ?? [];
    const known = [...repositories.keys()].some((key) => key.startsWith(`${repository}/`));
    if (!known) return refuse(401, 'RepoNotFound', 'Repository not found');
    const mayRead = request.headers.authorization === `Bearer ${token}`;
    if (repository.includes('gated') && !mayRead) return refuse(401, 'GatedRepo', 'Access is restricted');
    if (repository.includes('restricted'))
      return refuse(403, 'GatedRepo', 'You are not in the authorized list');
    const files = repositories.get(`${repository}/${decodeURIComponent(revision)}`);
    if (files === undefined) return refuse(404, 'RevisionNotFound', 'Invalid rev id');
    const content = files.get(decodeURIComponent(path));
    if (content === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
    const headers = { 'x-repo-commit': 'c0ffee', 'accept-ranges': 'bytes' };
    if (content.length < largeBytes) {
      response.writeHead(200, { ...headers, etag: `"${sha256(content)}"`, 'content-length': content.length });
      return void response.end(request.method === 'HEAD' ? undefined : content);
    }
    stored.set(sha256(content), content);
    response.writeHead(302, {
      ...headers,
      location: `${originOf(store)}/${sha256(content)}?Signature=a-signature`,
      'x-linked-size': content.length,
      'x-linked-etag': `"${sha256(content)}"`,
    });
    response.end();
  });
  return {
    endpoint: originOf(hub),
    asked,
    breakStore: (times, afterBytes) => Object.assign(breaks, { times, afterBytes }),
    close: () => {
      for (const server of [hub, store]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

async function listen(answer: RequestListener): Promise<Server> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
