/**
 * Media by URL, without becoming a client's way into the network around the pod: every address that a host name has must be public, the
 * connection goes to one of the addresses that were checked, and every redirect is checked again.
 */
import { lookup as lookupName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import ipaddr from 'ipaddr.js';
import { Agent, type Dispatcher, request } from 'undici';
import { ServiceError, serviceError } from '../errors.ts';

export interface FetchPolicy {
  /** Host names in lower case that are trusted wherever they lead, with any port and without TLS. */
  readonly allowHosts: readonly string[];
  /** Trusts every host. */
  readonly allowPrivate: boolean;
  /** From the request to the last byte. */
  readonly timeoutMs: number;
}

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

const maxRedirects = 3;
const redirects = new Set([301, 302, 303, 307, 308]);
const resolveByName: Resolve = (hostname) => lookupName(hostname, { all: true });

export class MediaFetcher {
  readonly #policy: FetchPolicy;
  readonly #agent: Agent;

  constructor(policy: FetchPolicy, resolve: Resolve = resolveByName) {
    this.#policy = policy;
    this.#agent = new Agent({ connect: { lookup: checkedLookup(policy, resolve) } });
  }

  /**
   * Hands the body to `receive` while it comes. The signal ends the transfer.
   * @throws ServiceError url_refused, fetch_failed, fetch_timeout, those of `receive`; the signal's reason
   */
  async fetch<T>(
    url: string,
    receive: (body: Readable, contentType: string) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const first = checkedUrl(url, this.#policy);
    const limitMs = this.#policy.timeoutMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(serviceError('fetch_timeout', { limitMs })), limitMs);
    const ended = AbortSignal.any([signal, deadline.signal]);
    try {
      const { headers, body } = await this.#follow(first, ended);
      return await receive(body, String(headers['content-type'] ?? '').toLowerCase());
    } catch (error) {
      ended.throwIfAborted();
      if (error instanceof ServiceError) throw error;
      throw serviceError('fetch_failed', { host: first.hostname, reason: reasonOf(error) }, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #follow(first: URL, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let url = first;
    for (let hop = 0; hop <= maxRedirects; hop += 1) {
      const response = await request(url.href, {
        dispatcher: this.#agent,
        signal,
        // A compressed answer could unpack to more than any limit on what arrives.
        headers: { 'accept-encoding': 'identity', 'user-agent': 'deepfake-inference' },
      });
      const { location } = response.headers;
      if (!redirects.has(response.statusCode) || typeof location !== 'string') return usable(response, url);
      await response.body.dump();
      url = checkedUrl(URL.parse(location, url.href)?.href ?? '', this.#policy);
    }
    throw serviceError('fetch_failed', {
      host: first.hostname,
      reason: `there were more than ${maxRedirects} redirects`,
    });
  }
}

async function usable(
  response: Dispatcher.ResponseData,
  { hostname }: URL,
): Promise<Dispatcher.ResponseData> {
  const encoding = response.headers['content-encoding'] ?? 'identity';
  if (response.statusCode === 200 && encoding === 'identity') return response;
  await response.body.dump();
  const reason =
    response.statusCode === 200
      ? `the answer has the content encoding ${encoding}`
      : `the server answered ${response.statusCode}`;
  throw serviceError('fetch_failed', { host: hostname, reason });
}

/** @throws ServiceError url_refused */
function checkedUrl(text: string, policy: FetchPolicy): URL {
  const url = URL.parse(text);
  if (url === null) throw refused('it is not an absolute URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('only https URLs are fetched');
  if (url.username !== '' || url.password !== '')
    throw refused('it holds a user name or password; sign the URL instead');
  if (isTrusted(url.hostname, policy)) return url;
  if (url.protocol !== 'https:') throw refused('only https URLs are fetched');
  if (url.port !== '') throw refused('only the standard port is used');
  const address = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && !isPublic(address)) throw notPublic(url.hostname);
  return url;
}

/** Resolves once for a connection, which then uses what was checked: a second look-up could have another answer. */
function checkedLookup(policy: FetchPolicy, resolve: Resolve): LookupFunction {
  return (hostname, { all }, callback) => {
    addressesOf(hostname, policy, resolve).then(
      (addresses) => {
        const [first] = addresses;
        if (all) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
}

async function addressesOf(
  hostname: string,
  policy: FetchPolicy,
  resolve: Resolve,
): Promise<readonly [ResolvedAddress, ...ResolvedAddress[]]> {
  const [first, ...others] = await resolve(hostname);
  if (first === undefined)
    throw serviceError('fetch_failed', { host: hostname, reason: 'it has no address' });
  const addresses = [first, ...others] as const;
  if (!isTrusted(hostname, policy) && !addresses.every(({ address }) => isPublic(address)))
    throw notPublic(hostname);
  return addresses;
}

function isTrusted(hostname: string, { allowHosts, allowPrivate }: FetchPolicy): boolean {
  return allowPrivate || allowHosts.includes(hostname);
}

/** Neither loopback, private, link-local, shared, multicast, reserved nor an IPv6 form that stands for an IPv4 address of that kind. */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast';
}

function notPublic(hostname: string): ServiceError {
  return refused(`${hostname} has an address that is not public`);
}

function refused(reason: string): ServiceError {
  return serviceError('url_refused', { reason });
}

/** A code such as ECONNREFUSED or UND_ERR_SOCKET; messages may repeat a signed URL. */
function reasonOf(error: unknown): string {
  const { code, name } = error as NodeJS.ErrnoException;
  return code ?? name;
}
