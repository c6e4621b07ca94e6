/** What the sources on a network have in common: files that are asked for by HTTP, and a way to make a package of them. */
import type { IncomingHttpHeaders } from 'node:http';
import type { FetchReason } from './errors.ts';

export type Method = 'GET' | 'HEAD' | 'POST';

/** How one source wants to be asked. */
export interface Access {
  /** Headers that prove who asks. They are sent to the resource's own origin only, whatever it redirects to. */
  credentials(method: Method, url: URL): Promise<Readonly<Record<string, string>>>;
  /** After 401 with this WWW-Authenticate: true where the next credentials may do better. */
  renew?(challenge: string): Promise<boolean>;
  /** What the source itself says of a refusal, and where that changes the reason. */
  explain?(answer: Refusal): Explanation;
}

/** An answer that brings no file. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Its first kilobytes. */
  readonly body: string;
}

export interface Explanation {
  readonly detail?: string | undefined;
  readonly reason?: FetchReason | undefined;
}

/** One file of a source. */
export interface Resource {
  readonly url: string;
  readonly access: Access;
  /** 64 hexadecimal digits, where it is known before the file comes. */
  readonly sha256?: string;
  /** In bytes, where it is known before the file is asked for. */
  readonly sizeBytes?: number;
}

/** A part of a package: a file under its path, or an archive that is unpacked over what came before. */
export interface Layer {
  readonly resource: Resource;
  /** Absent for an archive. */
  readonly path?: string;
}

/** Everything that has to be downloaded for a package. */
export type Remote =
  | { readonly kind: 'layers'; readonly layers: readonly Layer[] }
  /** A folder without a table of contents: model.yaml says which files there are. */
  | { readonly kind: 'folder'; locate(file: string): Resource };

export const anonymous: Access = { credentials: async () => ({}) };

/** The address without user, password and query: signed addresses carry secrets there. */
export function withoutSecrets(url: string | URL): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
