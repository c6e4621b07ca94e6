/** Downloads one file and goes on where it was interrupted, in this process or in an earlier one. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { finished, pipeline } from 'node:stream/promises';
import { asFetchError, FetchError } from './errors.ts';
import { type Patience, persist } from './persistence.ts';
import { type Resource, withoutSecrets } from './resource.ts';
import { sizeOf } from './room.ts';
import { type Answer, drop, type Transport } from './transport.ts';

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
    const length = Number(answer.headers['content-length'] ?? Number.NaN);
    if (answer.status === 416) return await verify(options, true);
    if (from + length > limitOf(options)) throw tooLarge(options);
    if (Number.isFinite(length)) await options.admit(from + length, from);
    if (from === 0) await startAnew(path, answer);
    await receive(answer, options, from);
    if (Number.isFinite(length) && (await sizeOf(path)) < from + length) throw changed('ended early');
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
  const range = contentRange(answer);
  const fits = answer.status === 416 ? range?.total === have : range?.start === have;
  if (fits && !isOfAnotherVersion(answer, validator)) return { answer, from: have };
  drop(answer);
  await discard(path);
  throw changed('has changed, or answered with another range than was asked for');
}

/** Some servers resume whatever If-Range says. */
function isOfAnotherVersion({ headers }: Answer, validator: string): boolean {
  return validator.startsWith('"') && headers.etag !== undefined && headers.etag !== validator;
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

/** Only a strong validator proves that the bytes on disk belong to the source's present version. */
async function startAnew(path: string, { headers }: Answer): Promise<void> {
  await discard(path);
  const { etag, 'last-modified': modified } = headers;
  const validator = etag !== undefined && !etag.startsWith('W/') ? etag : modified;
  if (validator !== undefined) await writeFile(validatorPath(path), validator);
}

async function discard(path: string): Promise<void> {
  await Promise.all([rm(path, { force: true }), rm(validatorPath(path), { force: true })]);
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
    ? new FetchError('PackageTooLarge', `${where} is larger than the limit of ${maxBytes} bytes`)
    : new FetchError(
        'DigestMismatch',
        `${where} is larger than the ${resource.sizeBytes} bytes that were announced; use the package with the digest that was asked for`,
      );
}

function validatorPath(path: string): string {
  return `${path}.validator`;
}
