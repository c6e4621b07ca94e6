/** Turns answers of a source that bring no file into errors. */
import { STATUS_CODES } from 'node:http';
import { FetchError, type FetchReason } from './errors.ts';
import { type Access, type Refusal, withoutSecrets } from './resource.ts';

const maxDetailLength = 300;

const advice: Readonly<Partial<Record<FetchReason, string>>> = {
  SourceNotFound: 'check the address',
  SourceUnauthorized: 'check the credentials and what they may read',
};

/** @param url of the answer, which may be another one than was asked for */
export function refusalError(answer: Refusal, url: string | URL, access: Access): FetchError {
  const { detail, reason = reasonOf(answer.status) } = access.explain?.(answer) ?? {};
  const said = `${withoutSecrets(url)} answered ${answer.status} ${STATUS_CODES[answer.status] ?? ''}`.trim();
  const parts = [detail === undefined ? said : `${said} (${oneLine(detail)})`, advice[reason]];
  const waitMs = retryAfterMs(answer.headers['retry-after'], Date.now());
  return new FetchError(reason, parts.filter((part) => part !== undefined).join('; '), { waitMs });
}

/** @param header Retry-After: seconds, or the time as a date */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : 0;
}

export function reasonOf(status: number): FetchReason {
  if ([401, 403, 407].includes(status)) return 'SourceUnauthorized';
  const terminal = status < 500 && ![408, 425, 429].includes(status);
  return terminal ? 'SourceNotFound' : 'SourceUnreachable';
}

function oneLine(text: string): string {
  return text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, maxDetailLength);
}
