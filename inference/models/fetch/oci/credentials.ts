/** Credentials for a registry, as `docker login` and Secrets of type kubernetes.io/dockerconfigjson keep them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FetchError } from '../errors.ts';
import { isDockerHub, type Reference } from './reference.ts';

export type Login =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** Exchanged for access tokens at the registry's token service. */
  | { readonly kind: 'identity-token'; readonly token: string };

const entry = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
const configSchema = z.looseObject({ auths: z.record(z.string(), entry).default({}) });
export type DockerConfig = z.input<typeof configSchema>;

/** @throws FetchError SourceUnauthorized */
export async function readDockerConfig(folder: string): Promise<DockerConfig> {
  const path = join(folder, 'config.json');
  try {
    return configSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // What the parser says would quote the secret.
    throw new FetchError(
      'SourceUnauthorized',
      `${path}: cannot be read as the configuration of docker login; use a Secret of type kubernetes.io/dockerconfigjson`,
    );
  }
}

/**
 * Of all entries that fit, the one with the longest path, and a name before a pattern: `HOST`, `HOST/PATH` or `*.DOMAIN`, with or without
 * a scheme.
 */
export function dockerCredentials({ auths = {} }: DockerConfig, reference: Reference): Login | undefined {
  const fitting = Object.entries(auths)
    .map(([key, value]) => ({ value, ...placeOf(key) }))
    .filter(({ host, path }) => hostFits(host, reference.registry) && pathFits(path, reference.repository))
    .sort(
      (one, other) =>
        other.path.length - one.path.length ||
        Number(one.host.includes('*')) - Number(other.host.includes('*')),
    );
  return fitting.map(({ value }) => loginOf(value)).find((login) => login !== undefined);
}

function placeOf(key: string): { host: string; path: string } {
  const [host = '', ...path] = key.replace(/^https?:\/\//, '').split('/');
  return {
    host,
    path: path
      .join('/')
      .replace(/^v[12]\/?$/, '')
      .replace(/\/+$/, ''),
  };
}

function hostFits(host: string, registry: string): boolean {
  if (isDockerHub(host)) return isDockerHub(registry);
  const [wanted, found] = [host.split('.'), registry.split('.')];
  return (
    wanted.length === found.length &&
    wanted.every((label, index) => label === found[index] || (label === '*' && found[index] !== ''))
  );
}

function pathFits(path: string, repository: string): boolean {
  return path === '' || repository === path || repository.startsWith(`${path}/`);
}

function loginOf({ auth, username, password, identitytoken }: z.output<typeof entry>): Login | undefined {
  if (identitytoken) return { kind: 'identity-token', token: identitytoken };
  if (username !== undefined && password !== undefined) return { kind: 'password', username, password };
  const decoded = Buffer.from(auth ?? '', 'base64').toString();
  const colon = decoded.indexOf(':');
  if (colon < 1) return undefined;
  return { kind: 'password', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}
