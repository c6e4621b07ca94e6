/** The multipart body of `POST /analyze`: one file on disk and a few short fields. */
import type { FastifyRequest } from 'fastify';
import { messageOf, ServiceError, serviceError } from '../errors.ts';
import type { Spool, SpooledFile } from '../media/spool.ts';

export interface Upload {
  readonly file: SpooledFile;
  /** The type that the client claims, in lower case; never trusted. */
  readonly claimedType: string;
  readonly fields: ReadonlyMap<string, string>;
}

/**
 * Streams the file to disk while it comes. The caller removes `file`; nothing stays on disk when this throws.
 * @throws ServiceError not_multipart, malformed_body, missing_media, empty_media, upload_too_large, storage_failed; the signal's reason where it was aborted
 */
export async function receiveUpload(
  request: FastifyRequest,
  spool: Spool,
  limitBytes: number,
  signal: AbortSignal,
): Promise<Upload> {
  if (!request.isMultipart()) {
    throw serviceError('not_multipart', { found: request.headers['content-type'] ?? 'no Content-Type' });
  }
  const received: { file?: SpooledFile; claimedType: string } = { claimedType: '' };
  const fields = new Map<string, string>();
  const readParts = async () => {
    for await (const part of request.parts({
      limits: { files: 1, fields: 16, fieldSize: 4096, fileSize: Infinity },
    })) {
      if (part.type === 'field') fields.set(part.fieldname, String(part.value));
      else if (part.fieldname === 'media') {
        received.file = await spool.receive(part.file, limitBytes, signal);
        received.claimedType = part.mimetype.toLowerCase();
      } else throw missingMedia(`a file in the field "${part.fieldname}"`);
    }
  };
  const abortion = rejection(signal);
  try {
    await Promise.race([readParts(), abortion.promise]);
    if (received.file === undefined) throw missingMedia(describe(fields));
    if (received.file.bytes === 0) throw serviceError('empty_media', {});
    return { file: received.file, claimedType: received.claimedType, fields };
  } catch (error) {
    if (received.file !== undefined) await spool.remove(received.file.path);
    signal.throwIfAborted();
    throw error instanceof ServiceError
      ? error
      : serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  } finally {
    abortion.forget();
  }
}

/** A promise that rejects with the signal's reason: parts of a body that has stalled never end. */
function rejection(signal: AbortSignal): { promise: Promise<never>; forget: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) };
}

function missingMedia(found: string): ServiceError {
  return serviceError('missing_media', { found });
}

function describe(fields: ReadonlyMap<string, string>): string {
  return fields.size === 0 ? 'no fields' : `only the fields ${[...fields.keys()].join(', ')}`;
}
