/** From what `--source` names to what has to be downloaded. */
import type { Patience } from '../persistence.ts';
import type { Remote } from '../resource.ts';
import type { Source } from '../source.ts';
import type { Transport } from '../transport.ts';
import { httpRemote } from './http.ts';
import { huggingFaceRemote } from './hugging-face.ts';
import { ociRemote } from './oci.ts';
import { type S3Keys, s3Remote } from './s3.ts';

export type RemoteSource = Exclude<Source, { builtin: object } | { pvc: object } | { configMap: object }>;

/** What proves to a source who asks. Each goes to the source that it is for, and nowhere else. */
export interface Credentials {
  /** Value of the Authorization header of `http`. */
  readonly authorization: string | undefined;
  readonly s3: S3Keys | undefined;
  readonly huggingFaceToken: string | undefined;
  /** Folder with the config.json of `docker login`. */
  readonly dockerConfig: string | undefined;
}

export async function remoteOf(
  source: RemoteSource,
  credentials: Credentials,
  transport: Transport,
  patience: Patience,
): Promise<Remote> {
  if ('http' in source) return httpRemote(source.http.url, credentials.authorization);
  if ('s3' in source) return s3Remote(source.s3, credentials.s3);
  if ('huggingFace' in source) return huggingFaceRemote(source.huggingFace, credentials.huggingFaceToken);
  return ociRemote(source.oci, credentials.dockerConfig, transport, patience);
}
