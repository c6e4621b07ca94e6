/** Talks to one repository of a registry, and logs in when it is asked to. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FetchError } from '../errors.ts';
import { type Patience, persist } from '../persistence.ts';
import { type Access, type Explanation, type Refusal, withoutSecrets } from '../resource.ts';
import { type Transport, textOf } from '../transport.ts';
import { type Challenge, parseChallenge } from './challenge.ts';
import type { Login } from './credentials.ts';
import { manifestTypes, readManifest } from './manifest.ts';
import { type Reference, registryHost } from './reference.ts';

const maxManifestBytes = 4 * 1024 * 1024;
const maxTokenBytes = 256 * 1024;
const maxIndexDepth = 2;

const tokenAnswer = z.looseObject({
  token: z.string().min(1).optional(),
  access_token: z.string().min(1).optional(),
});
const errorAnswer = z.looseObject({
  errors: z.array(z.looseObject({ code: z.string(), message: z.string().default('') })).min(1),
});

export interface RegistryOptions {
  readonly reference: Reference;
  readonly plainHttp: boolean;
  readonly login: Login | undefined;
  readonly transport: Transport;
  readonly patience: Patience;
}

export class Registry implements Access {
  readonly #options: RegistryOptions;
  readonly #base: string;
  #authorization: string | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { reference, plainHttp } = options;
    const scheme = plainHttp ? 'http' : 'https';
    this.#base = `${scheme}://${registryHost(reference)}/v2/${reference.repository}`;
  }

  blobUrl(digest: string): string {
    return `${this.#base}/blobs/${digest}`;
  }

  /** The layers of the manifest that the reference leads to, through an index where it is one. @throws FetchError */
  async manifest(): Promise<Extract<ReturnType<typeof readManifest>, { layers: unknown }>['layers']> {
    let version = this.#options.reference.version;
    for (let depth = 0; depth < maxIndexDepth; depth += 1) {
      const found = readManifest(await this.#manifestText(version), architecture());
      if ('layers' in found) return found.layers;
      version = found.next;
    }
    throw new FetchError(
      'InvalidPackage',
      'the reference leads to an index in an index; name the manifest by @sha256:DIGEST',
    );
  }

  async credentials(): Promise<Record<string, string>> {
    return this.#authorization === undefined ? {} : { authorization: this.#authorization };
  }

  async renew(header: string): Promise<boolean> {
    const challenge = parseChallenge(header);
    const { login } = this.#options;
    if (challenge === undefined) return false;
    if (challenge.scheme === 'bearer') {
      this.#authorization = `Bearer ${await this.#token(challenge)}`;
      return true;
    }
    if (login?.kind !== 'password') return false;
    const before = this.#authorization;
    this.#authorization = basic(login);
    return before !== this.#authorization;
  }

  explain({ body }: Refusal): Explanation {
    return { detail: registryErrors(body) };
  }

  async #manifestText(version: string): Promise<string> {
    const url = `${this.#base}/manifests/${version}`;
    const { transport, patience } = this.#options;
    const text = await persist(url, patience, async () => {
      const accept = manifestTypes.join(', ');
      const answer = await transport.send({ url, access: this, method: 'GET', headers: { accept } });
      return textOf(answer, maxManifestBytes);
    });
    const found = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    if (!version.startsWith('sha256:') || found === version) return text;
    throw new FetchError(
      'DigestMismatch',
      `${withoutSecrets(url)}: the manifest's digest is ${found}; the registry or something before it exchanged it`,
    );
  }

  async #token({ realm, service, scope }: Extract<Challenge, { scheme: 'bearer' }>): Promise<string> {
    const { login, transport, reference, plainHttp } = this.#options;
    if (!realm.startsWith('https://') && !plainHttp) {
      throw new FetchError(
        'SourceUnauthorized',
        `${reference.registry} names a token service that is not encrypted: ${withoutSecrets(realm)}`,
      );
    }
    const asked = {
      ...(service === undefined ? {} : { service }),
      scope: scope ?? `repository:${reference.repository}:pull`,
    };
    const proof = login?.kind === 'password' ? { authorization: basic(login) } : {};
    const access: Access = { credentials: async () => proof, explain: this.explain };
    const answer = await transport.send(
      login?.kind === 'identity-token'
        ? { ...exchange(realm, asked, login.token), access }
        : { url: withQuery(realm, asked), method: 'GET', access },
    );
    const found = tokenAnswer.safeParse(jsonOf(await textOf(answer, maxTokenBytes)));
    const token = found.data?.token ?? found.data?.access_token;
    if (token !== undefined) return token;
    throw new FetchError('SourceUnauthorized', `${withoutSecrets(realm)} answered without a token`);
  }
}

/** The OAuth2 form of the token protocol, which only it has for identity tokens. */
function exchange(realm: string, asked: { service?: string; scope: string }, token: string) {
  const form = {
    grant_type: 'refresh_token',
    refresh_token: token,
    client_id: 'deepfake-operator',
    ...asked,
  };
  return {
    url: realm,
    method: 'POST' as const,
    // The token is in the body, which nobody else may get.
    leaves: false,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  };
}

function withQuery(realm: string, parameters: Readonly<Record<string, string>>): string {
  const url = new URL(realm);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

function basic({ username, password }: Extract<Login, { kind: 'password' }>): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function registryErrors(body: string): string | undefined {
  return errorAnswer
    .safeParse(jsonOf(body))
    .data?.errors.map(({ code, message }) => (message === '' ? code : `${code}: ${message}`))
    .join(', ');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of this process, in the words of registries. */
function architecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
