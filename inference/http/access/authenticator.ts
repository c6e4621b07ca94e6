/** From the headers of a request to who sends it. */
import type { IncomingHttpHeaders } from 'node:http';
import type { AccessConfig } from '../../config/access.ts';
import { serviceError } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import { type ApiKey, findApiKey, parseApiKeys, unlimitedKeys } from './api-keys.ts';
import { anonymous, type Principal } from './principal.ts';
import { openTokenKeys, type TokenKeys } from './token-keys.ts';
import { isToken, verifyToken } from './tokens.ts';
import { WatchedFile } from './watched-file.ts';

export interface AuthenticatorOptions {
  readonly logger: Logger;
  /** Told whether the newest content of the file that a variable names is in use. */
  readonly onFile: (variable: string, usable: boolean) => void;
}

/** What a request presents, before anything of it is checked. A key without a value is one that cannot be read. */
export type Credential =
  | { readonly method: 'none' }
  | { readonly method: 'token'; readonly value: string }
  | { readonly method: 'key'; readonly value: string | undefined };

export class Authenticator {
  readonly #config: AccessConfig;
  readonly #fixedKeys: readonly ApiKey[];
  readonly #keyFile: WatchedFile<ApiKey[]> | undefined;
  readonly #tokenKeys: TokenKeys | undefined;

  private constructor(
    config: AccessConfig,
    keyFile: WatchedFile<ApiKey[]> | undefined,
    tokenKeys: TokenKeys | undefined,
  ) {
    this.#config = config;
    this.#fixedKeys = unlimitedKeys(config.apiKeys);
    this.#keyFile = keyFile;
    this.#tokenKeys = tokenKeys;
  }

  /** @throws StartupError for a file that cannot be used */
  static async open(config: AccessConfig, { logger, onFile }: AuthenticatorOptions): Promise<Authenticator> {
    const { apiKeysFile: path, jwt } = config;
    const onChange = (usable: boolean) => onFile('API_KEYS_FILE', usable);
    using opened = new DisposableStack();
    const keyFile =
      path === undefined
        ? undefined
        : opened.adopt(await WatchedFile.open({ path, parse: parseApiKeys, logger, onChange }), (file) =>
            file.close(),
          );
    const tokenKeys = jwt === undefined ? undefined : await openTokenKeys(jwt.keys, { logger, onFile });
    opened.move();
    return new Authenticator(config, keyFile, tokenKeys);
  }

  /** Where authentication is off, nothing counts as presented. */
  read(headers: IncomingHttpHeaders): Credential {
    return this.#config.mode === 'off'
      ? { method: 'none' }
      : credentialOf(headers, this.#tokenKeys !== undefined);
  }

  /** @throws ServiceError unauthorized, invalid_token, token_keys_unavailable */
  async authenticate(credential: Credential): Promise<Principal> {
    const { mode, anonymousScopes, jwt } = this.#config;
    switch (credential.method) {
      case 'none':
        if (mode === 'required') throw serviceError('unauthorized', {});
        return anonymous(anonymousScopes);
      case 'token':
        if (this.#tokenKeys === undefined || jwt === undefined) throw serviceError('unauthorized', {});
        return verifyToken(credential.value, this.#tokenKeys, jwt);
      case 'key':
        return this.#ownerOf(credential.value);
    }
  }

  close(): void {
    this.#keyFile?.close();
    this.#tokenKeys?.close();
  }

  #ownerOf(presented: string | undefined): Principal {
    const keys = [...this.#fixedKeys, ...(this.#keyFile?.current ?? [])];
    const key = presented === undefined ? undefined : findApiKey(keys, presented, Date.now());
    if (key === undefined) throw serviceError('unauthorized', {});
    return { method: 'key', subject: key.name, scopes: new Set(key.scopes), rateLimits: key.rateLimits };
  }
}

/**
 * `X-API-Key` counts before `Authorization`, which a proxy may have added for itself.
 * @param readsTokens false: whatever is presented is a key
 */
export function credentialOf(
  { 'x-api-key': key, authorization }: IncomingHttpHeaders,
  readsTokens: boolean,
): Credential {
  if (key !== undefined) return { method: 'key', value: String(key) };
  if (authorization === undefined) return { method: 'none' };
  const value = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  return value !== undefined && readsTokens && isToken(value)
    ? { method: 'token', value }
    : { method: 'key', value };
}
