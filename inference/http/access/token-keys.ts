/** Where the keys come from that verify tokens, and which algorithms go with them. */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose';
import { type JwtKeySource, minSecretBytes } from '../../config/access.ts';
import { messageOf, serviceError } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import { WatchedFile } from './watched-file.ts';

export interface TokenKeys {
  /** Never of both kinds: a public key must not be taken for a secret (algorithm confusion). */
  readonly algorithms: readonly string[];
  /** Rejects with an error of jose when no key fits the token, with ServiceError token_keys_unavailable when that cannot be known. */
  readonly get: JWTVerifyGetKey;
  close(): void;
}

export interface TokenKeyOptions {
  readonly logger: Logger;
  readonly onFile: (file: string, usable: boolean) => void;
}

const publicKeyAlgorithms = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];
const secretAlgorithms = ['HS256'];
/** Hundreds of keys, each with its chain of certificates. */
export const maxKeySetBytes = 1024 ** 2;

/** @throws StartupError for a file that cannot be used; an address that does not answer is none of that */
export async function openTokenKeys(source: JwtKeySource, options: TokenKeyOptions): Promise<TokenKeys> {
  switch (source.kind) {
    case 'jwks-url':
      return new RemoteTokenKeys(source.url, options.logger);
    case 'jwks-file': {
      const file = await watch(source.path, 'JWT_JWKS_FILE', parseKeySet, options);
      return {
        algorithms: publicKeyAlgorithms,
        get: (header, token) => file.current(header, token),
        close: () => file.close(),
      };
    }
    case 'secret': {
      const secret = parseSecret(source.secret);
      return { algorithms: secretAlgorithms, get: async () => secret, close: () => undefined };
    }
    case 'secret-file': {
      const file = await watch(source.path, 'JWT_SECRET_FILE', parseSecret, options);
      return { algorithms: secretAlgorithms, get: async () => file.current, close: () => file.close() };
    }
  }
}

function watch<T>(
  path: string,
  variable: string,
  parse: (text: string) => T,
  { logger, onFile }: TokenKeyOptions,
): Promise<WatchedFile<T>> {
  return WatchedFile.open({ path, parse, logger, onChange: (usable) => onFile(variable, usable) });
}

/** @throws Error, one line */
export function parseKeySet(text: string): ReturnType<typeof createLocalJWKSet> {
  let keySet: JSONWebKeySet;
  try {
    keySet = JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
  if (!Array.isArray(keySet?.keys) || keySet.keys.length === 0)
    throw new Error('is not a JSON Web Key Set with at least one key: {"keys": [...]}');
  const isPublic = ({ kty, d }: { readonly kty?: string; readonly d?: unknown }) =>
    kty !== undefined && kty !== 'oct' && d === undefined;
  if (!keySet.keys.every(isPublic))
    throw new Error('holds a key that is not a public one; keep those out of it');
  return createLocalJWKSet(keySet);
}

/** @throws Error, one line */
export function parseSecret(text: string): Uint8Array {
  const secret = Buffer.from(text.replace(/\r?\n$/, ''));
  if (secret.length < minSecretBytes) throw new Error(`has fewer than ${minSecretBytes} bytes`);
  return secret;
}

export interface RemoteTokenKeyTimes {
  /** From the question to the last byte of the answer. */
  readonly timeoutMs: number;
  /** A key that is not known makes the set be fetched again, but not sooner after the last fetch. */
  readonly cooldownMs: number;
  /** A fetch that failed is not tried again sooner. */
  readonly retryMs: number;
  /** A key that the issuer has withdrawn is trusted for no longer, while the issuer can be asked. */
  readonly refreshMs: number;
}

const defaultTimes: RemoteTokenKeyTimes = {
  timeoutMs: 3_000,
  cooldownMs: 10_000,
  retryMs: 5_000,
  refreshMs: 300_000,
};

/** An issuer's key set. Keys that are known stay in use while the issuer cannot be asked. */
export class RemoteTokenKeys implements TokenKeys {
  readonly algorithms = publicKeyAlgorithms;
  readonly #url: URL;
  readonly #logger: Logger;
  readonly #times: RemoteTokenKeyTimes;
  readonly #keySet: ReturnType<typeof createRemoteJWKSet>;
  readonly #refresh: NodeJS.Timeout;
  #failedAt = Number.NEGATIVE_INFINITY;
  #troubled = false;

  constructor(url: URL, logger: Logger, times: RemoteTokenKeyTimes = defaultTimes) {
    this.#url = url;
    this.#logger = logger;
    this.#times = times;
    this.#keySet = createRemoteJWKSet(url, {
      timeoutDuration: times.timeoutMs,
      cooldownDuration: times.cooldownMs,
      cacheMaxAge: Number.POSITIVE_INFINITY,
      [customFetch]: this.#fetch,
    });
    this.#refresh = setInterval(() => void this.#reload(), times.refreshMs).unref();
    void this.#reload();
  }

  readonly get: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#keySet(header, token);
    } catch (error) {
      const isAnswer = keyErrors.some((kind) => error instanceof kind);
      if (isAnswer) throw error;
      this.#fail(error);
      throw serviceError('token_keys_unavailable', {}, { cause: error });
    }
  };

  close(): void {
    clearInterval(this.#refresh);
  }

  async #reload(): Promise<void> {
    await this.#keySet.reload().catch((error: unknown) => this.#fail(error));
  }

  /** Strangers can send tokens with unknown keys as often as they like: an issuer in trouble is left alone for a while. */
  readonly #fetch: FetchImplementation = async (url, options) => {
    if (performance.now() < this.#failedAt + this.#times.retryMs)
      throw new Error('the last attempt failed a moment ago');
    try {
      const keySet = await readKeySet(await fetch(url, options));
      this.#troubled = false;
      return Response.json(keySet);
    } catch (error) {
      this.#failedAt = performance.now();
      throw error;
    }
  };

  /** One line for an outage. */
  #fail(error: unknown): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#logger.error(
      { url: this.#url.href, reason: messageOf(error) },
      'the keys that verify tokens cannot be fetched: tokens of unknown keys are answered with 503; check JWT_JWKS_URL',
    );
  }
}

/** @throws Error, one line: another status than 200, more than `maxKeySetBytes` (unpacked), no JSON; the signal's reason */
async function readKeySet(response: Response): Promise<unknown> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the answer has the status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop closes the connection.
    if (bytes > maxKeySetBytes) throw new Error(`the answer is larger than ${maxKeySetBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new Error('the answer is not JSON', { cause: error });
  }
}

/** The key set was there, and no key of it fits. */
const keyErrors = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];
