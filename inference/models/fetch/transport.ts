/** HTTP requests to sources: credentials stay with the origin that they are for, and nothing waits for ever. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { FetchError } from './errors.ts';
import { refusalError } from './refusal.ts';
import { type Access, type Method, withoutSecrets } from './resource.ts';

const maxRedirects = 5;
const maxRefusalBytes = 8192;
const redirects: readonly number[] = [301, 302, 303, 307, 308];

export interface SendOptions {
  readonly url: string;
  readonly access: Access;
  readonly method: Method;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Statuses that are no refusal, besides those of success. */
  readonly accepts?: readonly number[];
  /** False: a redirect to another origin is the answer. */
  readonly leaves?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Has to be read or given to `drop`. */
  readonly body: Dispatcher.ResponseData['body'];
}

export class Transport {
  readonly #dispatcher: Dispatcher;

  /** @param idleMs milliseconds without a byte after which an answer is given up */
  constructor(idleMs: number) {
    // Of the environment: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    this.#dispatcher = new EnvHttpProxyAgent({
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      connect: { timeout: idleMs },
    });
  }

  /** @throws FetchError for an answer without success; the connection's error for none */
  async send(options: SendOptions): Promise<Answer> {
    const origin = new URL(options.url).origin;
    let url = new URL(options.url);
    for (let hops = 0; ; hops += 1) {
      const home = url.origin === origin;
      const answer = await this.#ask(url, options, home);
      const next = redirectOf(answer, url);
      if (next === undefined) return accepted(answer, url, options);
      if (options.leaves === false && next.origin !== origin) return answer;
      drop(answer);
      if (hops >= maxRedirects) {
        throw new FetchError(
          'SourceNotFound',
          `${withoutSecrets(options.url)} redirects more than ${maxRedirects} times; check the address`,
        );
      }
      url = next;
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /** @param home the address is of the origin that the credentials are for */
  async #ask(url: URL, options: SendOptions, home: boolean): Promise<Answer> {
    if (!home) return this.#request(url, options, {});
    const { access, method } = options;
    const prove = async () => sendable(await access.credentials(method, url));
    const answer = await this.#request(url, options, await prove());
    const challenge = answer.headers['www-authenticate'];
    if (answer.status !== 401 || challenge === undefined) return answer;
    if (!(await access.renew?.(String(challenge)))) return answer;
    drop(answer);
    return this.#request(url, options, await prove());
  }

  async #request(
    url: URL,
    { method, headers, body }: SendOptions,
    proof: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const answer = await request(url, {
      method,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'deepfake-operator', ...headers, ...proof },
      body: body ?? null,
      dispatcher: this.#dispatcher,
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body };
  }
}

/** @throws FetchError for what is no value of a header, without saying it */
function sendable(proof: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (Object.values(proof).every((value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value))) return proof;
  throw new FetchError(
    'SourceUnauthorized',
    'the credentials hold a line break or another character that no HTTP header can carry; correct the Secret',
  );
}

/** Gives up an answer's body without an error to anybody. */
export function drop({ body }: Answer): void {
  body.on('error', () => undefined).destroy();
}

/** A number of bytes as a header says it; undefined where it says none. */
export function byteCount(header: string | string[] | undefined): number | undefined {
  const count = /^\d+$/.test(String(header)) ? Number(header) : Number.NaN;
  return Number.isSafeInteger(count) ? count : undefined;
}

/** The body as text, or its beginning where it is longer than `maxBytes`. */
export async function textOf(answer: Answer, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk);
      total += chunk.length;
      if (total >= maxBytes) break;
    }
  } finally {
    drop(answer);
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}

async function accepted(answer: Answer, url: URL, options: SendOptions): Promise<Answer> {
  const { status, headers } = answer;
  if ((status >= 200 && status < 300) || options.accepts?.includes(status)) return answer;
  const body = await textOf(answer, maxRefusalBytes).catch(() => '');
  throw refusalError({ status, headers, body }, url, options.access);
}

function redirectOf({ status, headers }: Answer, from: URL): URL | undefined {
  if (!redirects.includes(status)) return undefined;
  if (headers.location === undefined || !URL.canParse(headers.location, from.href)) return undefined;
  const to = new URL(headers.location, from);
  if (!/^https?:$/.test(to.protocol) || (from.protocol === 'https:' && to.protocol === 'http:')) {
    throw new FetchError(
      'SourceNotFound',
      `${withoutSecrets(from)} redirects to ${to.protocol}//${to.host}, which is not encrypted; check the address`,
    );
  }
  return to;
}
