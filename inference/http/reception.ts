/** Multipart bodies: files on disk and a few short fields. Every route that takes files takes them here. */
import type { FastifyRequest } from 'fastify';
import { orAborted } from '../abortion.ts';
import { messageOf, ServiceError, serviceError } from '../errors.ts';
import type { Spool, SpooledFile } from '../media/spool.ts';

export interface ReceivedMedia {
  readonly file: SpooledFile;
  /** The type that the client claims, in lower case; never trusted. Empty where it claims none. */
  readonly claimedType: string;
  /** The name that the client gives; for its own answer only, never a path and never logged. */
  readonly name: string;
}

export interface Reception {
  /** In the order of the body; at least one. */
  readonly media: readonly [ReceivedMedia, ...ReceivedMedia[]];
  readonly fields: ReadonlyMap<string, string>;
}

export interface ReceptionOptions {
  readonly spool: Spool;
  /** Names under which files are taken; the first is told to clients that send none. */
  readonly fileFields: readonly [string, ...string[]];
  readonly maxFiles: number;
  /** Of each file. */
  readonly limitBytes: number;
  readonly signal: AbortSignal;
}

/** Multipart framing and fields beside the files themselves. */
export const envelopeBytes = 64 * 1024;

/**
 * Streams the files to disk while they come. The caller removes them; nothing stays on disk when this throws.
 * @throws ServiceError not_multipart, invalid_request, malformed_body, missing_media, empty_media, too_many_files, upload_too_large, storage_failed; the
 * signal's reason where it was aborted
 */
export async function receiveMultipart(
  request: FastifyRequest,
  options: ReceptionOptions,
): Promise<Reception> {
  if (!request.isMultipart()) {
    throw serviceError('not_multipart', {
      field: options.fileFields[0],
      found: request.headers['content-type'] ?? 'no Content-Type',
    });
  }
  const { spool, signal } = options;
  const media: ReceivedMedia[] = [];
  const fields = new Map<string, string>();
  try {
    // Parts of a body that has stalled never end.
    await orAborted(readParts(request, options, media, fields), signal);
    const [first, ...others] = media;
    if (first === undefined) throw missingMedia(options, describe(fields));
    if (options.maxFiles === 1 && first.file.bytes === 0)
      throw serviceError('empty_media', { field: options.fileFields[0] });
    return { media: [first, ...others], fields };
  } catch (error) {
    await removeAll(spool, media);
    signal.throwIfAborted();
    throw error instanceof ServiceError
      ? error
      : serviceError('malformed_body', { reason: messageOf(error) }, { cause: error });
  }
}

export async function removeAll(spool: Spool, media: readonly ReceivedMedia[]): Promise<void> {
  await Promise.all(media.map(({ file }) => spool.remove(file.path)));
}

async function readParts(
  request: FastifyRequest,
  { spool, fileFields, maxFiles, limitBytes, signal }: ReceptionOptions,
  media: ReceivedMedia[],
  fields: Map<string, string>,
): Promise<void> {
  const limits = { files: maxFiles + 1, fields: 16, fieldSize: 4096, fileSize: Infinity };
  for await (const part of request.parts({ limits })) {
    if (part.type === 'field') setField(fields, part.fieldname, String(part.value));
    else if (!fileFields.includes(part.fieldname)) {
      throw serviceError('missing_media', {
        field: fileFields[0],
        found: `a file in the field "${part.fieldname}"`,
      });
    } else if (media.length === maxFiles) throw serviceError('too_many_files', { limit: maxFiles });
    else {
      const file = await spool.receive(part.file, limitBytes, signal);
      media.push({ file, claimedType: part.mimetype.toLowerCase(), name: part.filename });
    }
  }
}

/** @throws ServiceError invalid_request: of two values one would be ignored */
function setField(fields: Map<string, string>, name: string, value: string): void {
  const before = fields.get(name);
  if (before !== undefined && before !== value) {
    const reason = `the field "${name}" came twice with different values; send it once`;
    throw serviceError('invalid_request', { reason });
  }
  fields.set(name, value);
}

function missingMedia({ fileFields }: ReceptionOptions, found: string): ServiceError {
  return serviceError('missing_media', { field: fileFields[0], found });
}

function describe(fields: ReadonlyMap<string, string>): string {
  return fields.size === 0 ? 'no fields' : `only the fields ${[...fields.keys()].join(', ')}`;
}
