/** Names of artifacts in registries. */
import { FetchError } from '../errors.ts';

export interface Reference {
  /** HOST[:PORT] as it was written. */
  readonly registry: string;
  readonly repository: string;
  /** A tag, or the manifest's `sha256:<hex>`, which wins where both are written. */
  readonly version: string;
}

const pattern =
  /^(?<registry>[a-zA-Z0-9.-]+(?::\d{1,5})?|\[[0-9a-fA-F:]+\](?::\d{1,5})?)\/(?<repository>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)(?::(?<tag>\w[\w.-]{0,127}))?(?:@(?<digest>sha256:[a-f0-9]{64}))?$/;

/** @throws FetchError SourceNotFound */
export function parseReference(text: string): Reference {
  const { registry, repository, tag = 'latest', digest } = pattern.exec(text)?.groups ?? {};
  if (registry === undefined || repository === undefined) {
    throw new FetchError(
      'SourceNotFound',
      `${JSON.stringify(text)} is no reference; write HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`,
    );
  }
  const short = isDockerHub(registry) && !repository.includes('/');
  return { registry, repository: short ? `library/${repository}` : repository, version: digest ?? tag };
}

/** Where the registry answers: Docker Hub has another host than its name. */
export function registryHost({ registry }: Reference): string {
  return isDockerHub(registry) ? 'registry-1.docker.io' : registry;
}

export function isDockerHub(registry: string): boolean {
  return ['docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(registry);
}
