/** Puts artifacts into a registry by its own protocol. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

export interface ArtifactLayer {
  readonly mediaType: string;
  readonly content: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
export const titleAnnotation = 'org.opencontainers.image.title';

export class Pusher {
  readonly #registry: string;
  readonly #authorization: string;

  /** @param registry http://HOST:PORT */
  constructor(registry: string, authorization: string) {
    this.#registry = registry;
    this.#authorization = authorization;
  }

  /** @returns the manifest's descriptor */
  async artifact(
    repository: string,
    tag: string,
    layers: readonly ArtifactLayer[],
    artifactType?: string,
  ): Promise<Descriptor> {
    const config = await this.#blob(repository, 'application/vnd.oci.empty.v1+json', Buffer.from('{}'));
    const pushed = [];
    for (const { mediaType, content, annotations } of layers) {
      pushed.push({ ...(await this.#blob(repository, mediaType, content)), annotations });
    }
    const manifest = { schemaVersion: 2, mediaType: manifestType, artifactType, config, layers: pushed };
    return this.#manifest(repository, tag, manifestType, manifest);
  }

  async index(repository: string, tag: string, manifests: readonly object[]): Promise<Descriptor> {
    return this.#manifest(repository, tag, indexType, { schemaVersion: 2, mediaType: indexType, manifests });
  }

  async #blob(repository: string, mediaType: string, content: Buffer): Promise<Descriptor> {
    const digest = digestOf(content);
    const started = await this.#send('POST', `/v2/${repository}/blobs/uploads/`);
    const location = new URL(started.headers.get('location') ?? '', this.#registry);
    location.searchParams.set('digest', digest);
    await this.#send('PUT', `${location.pathname}${location.search}`, content, 'application/octet-stream');
    return { mediaType, digest, size: content.length };
  }

  async #manifest(repository: string, tag: string, mediaType: string, value: object): Promise<Descriptor> {
    const content = Buffer.from(JSON.stringify(value));
    await this.#send('PUT', `/v2/${repository}/manifests/${tag}`, content, mediaType);
    return { mediaType, digest: digestOf(content), size: content.length };
  }

  async #send(method: string, path: string, body?: Buffer, contentType?: string): Promise<Response> {
    const answer = await fetch(`${this.#registry}${path}`, {
      method,
      headers: {
        authorization: this.#authorization,
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer;
  }
}

export function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
