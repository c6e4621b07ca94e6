/** Downloads one file and goes on where it was interrupted, in this process or in an earlier one. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { finished, pipeline } from 'node:stream/promises';
import { asFetchError, FetchError } from './errors.ts';
import { type Patience, persist } from './persistence.ts';
import { type Resource, withoutSecrets } from './resource.ts';
import { sizeOf } from './room.ts';
import { type Answer, byteCount, drop, type Transport } from './transport.ts';

export interface DownloadOptions {
  readonly resource: Resource;
  /** The file that grows. `<path>.validator` beside it remembers which version of the source it belongs to. */
  readonly path: string;
  readonly maxBytes: number;
  readonly transport: Transport;
  readonly patience: Patience;
  /** Throws where a file of this size cannot be taken; asked before a byte of it is written. */
  readonly admit: (totalBytes: number, presentBytes: number) => Promise<void>;
  /** Receives the size of what is on disk. */
  readonly onSize: (bytes: number) => void;
}

/** @throws FetchError SourceNotFound, SourceUnauthorized, SourceUnreachable, PackageTooLarge, DigestMismatch, VolumeFull */
export async function download(options: DownloadOptions): Promise<void> {
  const { resource, path, patience } = options;
  const attemptOnce = async () => {
    try {
      await attempt(options, await sizeOf(path));
    } catch (error) {
      throw asFetchError(error, path);
    } finally {
      options.onSize(await sizeOf(path));
    }
  };
  await persist(resource.url, patience, attemptOnce, () => sizeOf(path));
}

async function attempt(options: DownloadOptions, have: number): Promise<void> {
  const { resource, path } = options;
  options.onSize(have);
  if (have > 0 && have === resource.sizeBytes && resource.sha256 !== undefined) {
    return verify(options, true);
  }
  const { answer, from } = await ask(options, have);
  try {
    if (answer.status === 416) return await verify(options, true);
    const total = totalOf(answer);
    if (total !== undefined && total > limitOf(options)) throw tooLarge(options);
    // What is thrown away makes room, and has to before the room is counted.
    if (from === 0) await discard(path);
    if (total !== undefined) await options.admit(total, from);
    if (from === 0) await rememberVersion(path, answer);
    await receive(answer, options, from);
    if (total !== undefined && (await sizeOf(path)) < total) throw changed('ended early');
  } finally {
    drop(answer);
  }
  await verify(options, from > 0);
}

/** The answer, and how many of the bytes on disk it continues. 416 says that all of them are there. */
async function ask(options: DownloadOptions, have: number): Promise<{ answer: Answer; from: number }> {
  const { resource, path, transport } = options;
  const validator = have > 0 ? await readFile(validatorPath(path), 'utf8').catch(() => '') : '';
  const resumes = have > 0 && (validator !== '' || resource.sha256 !== undefined);
  const answer = await transport.send({
    ...resource,
    method: 'GET',
    headers: resumes
      ? { range: `bytes=${have}-`, ...(validator === '' ? {} : { 'if-range': validator }) }
      : {},
    accepts: resumes ? [416] : [],
  });
  if (answer.status !== 206 && answer.status !== 416) return { answer, from: 0 };
  const from = resumes ? have : 0;
  const range = contentRange(answer);
  const fits = answer.status === 416 ? range?.total === have : range?.start === from;
  if (fits && !isOfAnotherVersion(answer, validator)) return { answer, from };
  drop(answer);
  await discard(path);
  throw changed('has changed, or answered with another range than was asked for');
}

/** Some servers resume whatever If-Range says. */
function isOfAnotherVersion({ headers }: Answer, validator: string): boolean {
  if (validator === '') return false;
  const present = validator.startsWith('"') ? headers.etag : headers['last-modified'];
  return present !== undefined && present !== validator;
}

/** What came before an interruption is on disk after it, but for what the connection still buffered (64 KiB at most). */
async function receive({ body }: Answer, options: DownloadOptions, from: number): Promise<void> {
  const { path, onSize } = options;
  let total = from;
  const file = createWriteStream(path, { flags: 'a', flush: true });
  const written = finished(file).catch((error: Error) => {
    body.destroy(error);
    throw error;
  });
  body.on('data', (chunk: Buffer) => {
    total += chunk.length;
    if (total > limitOf(options)) body.destroy(tooLarge(options));
    else onSize(total);
  });
  body.pipe(file, { end: false });
  const received = finished(body).finally(() => file.end());
  // The next attempt may only begin when nothing is written any more.
  for (const outcome of await Promise.allSettled([written, received])) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** @param joined the file came in more than one answer, so that a wrong digest may be nobody's but ours */
async function verify({ resource, path }: DownloadOptions, joined: boolean): Promise<void> {
  if (resource.sha256 === undefined) return;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const found = hash.digest('hex');
  if (found === resource.sha256) return;
  await discard(path);
  if (joined) throw changed('sent parts that do not fit together');
  throw new FetchError(
    'DigestMismatch',
    `${withoutSecrets(resource.url)}: the SHA-256 is ${found}, but ${resource.sha256} was asked for; use the package with that digest or correct the digest`,
  );
}

/** A weak ETag may stay the same where bytes differ. */
async function rememberVersion(path: string, { headers }: Answer): Promise<void> {
  const { etag, 'last-modified': modified } = headers;
  const validator = etag !== undefined && !etag.startsWith('W/') ? etag : modified;
  if (validator !== undefined) await writeFile(validatorPath(path), validator);
}

async function discard(path: string): Promise<void> {
  await Promise.all([rm(path, { force: true }), rm(validatorPath(path), { force: true })]);
}

/** Bytes of the whole file, where the answer says so. A part may end before the file does. */
function totalOf(answer: Answer): number | undefined {
  if (answer.status === 206) return contentRange(answer)?.total;
  return byteCount(answer.headers['content-length']);
}

function contentRange({ headers }: Answer): { start: number | undefined; total: number } | undefined {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers['content-range'] ?? '');
  if (match === null) return undefined;
  return { start: match[1] === undefined ? undefined : Number(match[1]), total: Number(match[2]) };
}

function limitOf({ resource, maxBytes }: DownloadOptions): number {
  return resource.sizeBytes ?? maxBytes;
}

function changed(how: string): Error {
  return new Error(`the source ${how}`);
}

function tooLarge({ resource, maxBytes }: DownloadOptions): FetchError {
  const where = withoutSecrets(resource.url);
  return resource.sizeBytes === undefined
    ? new FetchError(
        'PackageTooLarge',
        `${where} is larger than the ${maxBytes} bytes that the limit leaves for it`,
      )
    : new FetchError(
        'DigestMismatch',
        `${where} is larger than the ${resource.sizeBytes} bytes that were announced; use the package with the digest that was asked for`,
      );
}

function validatorPath(path: string): string {
  return `${path}.validator`;
}
