/** Downloads one file and goes on where it was interrupted, in this process or in an earlier one. */
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import { asFetchError, FetchError } from './errors.ts';

export interface DownloadOptions {
  readonly url: string;
  /** The file that grows. `<path>.validator` beside it remembers which version of the source it belongs to. */
  readonly path: string;
  readonly maxBytes: number;
  readonly authorization: string | undefined;
  /** Attempts in a row that bring no new byte before it gives up. */
  readonly attempts: number;
  /** Wait before the second attempt, in milliseconds; doubles up to thirty seconds. */
  readonly retryMs: number;
  /** An attempt that receives nothing for this long, in milliseconds, is ended. */
  readonly idleMs: number;
}

const maxRetryMs = 30_000;

/** @throws FetchError SourceNotFound, SourceUnreachable, PackageTooLarge, NoSpace */
export async function download(options: DownloadOptions): Promise<void> {
  let fruitless = 0;
  let waitMs = options.retryMs;
  for (;;) {
    const before = await sizeOf(options.path);
    try {
      return await attempt(options, before);
    } catch (error) {
      const failure = asFetchError(error, options.path);
      if (failure instanceof FetchError && failure.reason !== 'SourceUnreachable') throw failure;
      const progressed = (await sizeOf(options.path)) > before;
      fruitless = progressed ? 1 : fruitless + 1;
      if (fruitless >= options.attempts) throw unreachable(options.url, failure);
      waitMs = progressed ? options.retryMs : Math.min(maxRetryMs, waitMs * 2);
      await delay(waitMs);
    }
  }
}

/** Removes what a download keeps. */
export async function discard(path: string): Promise<void> {
  await Promise.all([rm(path, { force: true }), rm(validatorPath(path), { force: true })]);
}

async function attempt(options: DownloadOptions, have: number): Promise<void> {
  const validator = have > 0 ? await readFile(validatorPath(options.path), 'utf8').catch(() => '') : '';
  const idle = new AbortController();
  const response = await request(options, validator === '' ? undefined : { from: have, validator }, idle);
  const resumes = response.status === 206;
  if (response.status === 416) {
    await response.body?.cancel();
    if (contentRange(response)?.total === have) return;
    await discard(options.path);
    throw new FetchError('SourceUnreachable', 'the source has changed');
  }
  refuseStatus(response, options.url);
  if (resumes && contentRange(response)?.start !== have) {
    await response.body?.cancel();
    await discard(options.path);
    throw new FetchError('SourceUnreachable', 'the source answered with another range than was asked for');
  }
  const start = resumes ? have : 0;
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  if (start + length > options.maxBytes) throw tooLarge(options);
  if (!resumes) await startAnew(options.path, response);
  await receive(response, options, start, idle);
  if (Number.isFinite(length) && (await sizeOf(options.path)) < start + length) {
    throw new FetchError('SourceUnreachable', 'the connection ended early');
  }
}

async function request(
  options: DownloadOptions,
  resume: { from: number; validator: string } | undefined,
  idle: AbortController,
): Promise<Response> {
  const headers = new Headers({ 'accept-encoding': 'identity' });
  if (options.authorization !== undefined) headers.set('authorization', options.authorization);
  if (resume !== undefined) {
    headers.set('range', `bytes=${resume.from}-`);
    headers.set('if-range', resume.validator);
  }
  const timer = setTimeout(
    () => idle.abort(new Error(`no answer within ${options.idleMs} ms`)),
    options.idleMs,
  );
  try {
    return await fetch(options.url, { headers, signal: idle.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** Every chunk is on disk before the next one is asked for, so that an interruption loses nothing that came. */
async function receive(
  response: Response,
  options: DownloadOptions,
  start: number,
  idle: AbortController,
): Promise<void> {
  if (response.body === null) return;
  let total = start;
  const file = await open(options.path, 'a');
  const timer = setTimeout(
    () => idle.abort(new Error(`nothing came for ${options.idleMs} ms`)),
    options.idleMs,
  );
  try {
    for await (const chunk of response.body) {
      timer.refresh();
      total += chunk.length;
      if (total > options.maxBytes) throw tooLarge(options);
      await file.write(chunk);
    }
    await file.sync();
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

function refuseStatus(response: Response, url: string): void {
  if (response.ok) return;
  const said = `${withoutSecrets(url)} answered ${response.status} ${response.statusText}`.trim();
  const refused =
    response.status >= 400 && response.status < 500 && ![408, 425, 429].includes(response.status);
  if (refused) throw new FetchError('SourceNotFound', `${said}; check the address and the credentials`);
  throw new FetchError('SourceUnreachable', said);
}

/** Only a strong validator proves that the bytes on disk belong to the source's present version. */
async function startAnew(path: string, response: Response): Promise<void> {
  await discard(path);
  const etag = response.headers.get('etag');
  const validator = etag !== null && !etag.startsWith('W/') ? etag : response.headers.get('last-modified');
  if (validator !== null) await writeFile(validatorPath(path), validator);
}

function contentRange(response: Response): { start: number | undefined; total: number } | undefined {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (match === null) return undefined;
  return { start: match[1] === undefined ? undefined : Number(match[1]), total: Number(match[2]) };
}

function tooLarge(options: DownloadOptions): FetchError {
  return new FetchError(
    'PackageTooLarge',
    `${withoutSecrets(options.url)} is larger than the limit of ${options.maxBytes} bytes`,
  );
}

function unreachable(url: string, error: unknown): FetchError {
  const { cause } = error as { cause?: unknown };
  const reason =
    messageOf(error) === 'fetch failed' && cause !== undefined ? messageOf(cause) : messageOf(error);
  return new FetchError('SourceUnreachable', `${withoutSecrets(url)}: ${reason}`, { cause: error });
}

/** The address without user, password and query: signed addresses carry secrets there. */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function validatorPath(path: string): string {
  return `${path}.validator`;
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
