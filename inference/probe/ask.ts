/** Has one file judged by one server. */
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Dispatcher, FormData, fetch } from 'undici';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { ProbeError } from './errors.ts';
import type { Answerer, Said } from './figures.ts';

export interface AskOptions {
  /** Base of the address: `/analyze` comes below it. */
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly model: string | undefined;
  /** Attempts at one file that is not answered for a reason that may pass. */
  readonly attempts: number;
  /** Wait before the second attempt where the server does not say how long; doubles. ms. */
  readonly retryMs: number;
  /** Of one attempt, ms. */
  readonly timeoutMs: number;
  readonly dispatcher: Dispatcher;
  readonly signal: AbortSignal;
}

export interface Answered {
  readonly said: Exclude<Said, { type: 'unanswered' }>;
  readonly by: Answerer;
}

export type Answer = Answered | { readonly said: Extract<Said, { type: 'unanswered' }> };

/** What is read of the answer of `/analyze`. */
const answer = z.object({
  data: z.object({
    verdict: z.string().min(1),
    score: z.number().min(0).max(1).nullable(),
    inconclusive_reasons: z.array(z.string()),
    thresholds: z.object({ high: z.number().min(0).max(1) }),
  }),
  model: z.object({ name: z.string(), version: z.string(), digest: z.string() }),
});
const problem = z.object({ error: z.string(), message: z.string() });

/** Statuses of a server that has too much to do now. */
const busy: ReadonlySet<number> = new Set([429, 503, 504, 507]);
const maxWaitMs = 30_000;
/** Errors that no other file changes. */
const fatal: Readonly<Record<string, 'Unauthorized' | 'NoModel'>> = {
  unauthorized: 'Unauthorized',
  invalid_token: 'Unauthorized',
  insufficient_scope: 'Unauthorized',
  unknown_model: 'NoModel',
  wrong_modality: 'NoModel',
  no_model_for_media: 'NoModel',
};

/** @throws ProbeError for what stands in the way of every file; the signal's reason */
export async function ask(file: string, options: AskOptions): Promise<Answer> {
  let waitMs = options.retryMs;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(file, options);
    if (!('retryAfterMs' in outcome)) return outcome;
    if (attempt >= Math.min(options.attempts, outcome.attempts))
      return { said: { type: 'unanswered', reason: outcome.reason } };
    await delay(Math.min(outcome.retryAfterMs ?? waitMs, maxWaitMs), undefined, { signal: options.signal });
    waitMs *= 2;
  }
}

/** Not answered now; perhaps later. */
interface Refusal {
  readonly reason: string;
  /** How many make sense. */
  readonly attempts: number;
  /** As the server asks for, where it does. */
  readonly retryAfterMs: number | undefined;
}

async function attemptOnce(file: string, options: AskOptions): Promise<Answer | Refusal> {
  const { url, apiKey, model, timeoutMs, dispatcher, signal } = options;
  const body = new FormData();
  if (model !== undefined) body.set('model', model);
  body.set('media', await openAsBlob(file), basename(file));
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/analyze`, {
      method: 'POST',
      body,
      dispatcher,
      signal: AbortSignal.any([signal, timeout]),
      headers: {
        accept: 'application/json',
        // What is known from before, or from the other revision by a shared store, is not what is asked for.
        'cache-control': 'no-store',
        'x-request-priority': 'batch',
        ...(apiKey === undefined ? {} : { 'x-api-key': apiKey }),
      },
    });
    return outcomeOf(response.status, response.headers.get('retry-after'), await response.text());
  } catch (error) {
    if (error instanceof ProbeError) throw error;
    signal.throwIfAborted();
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : causeOf(error);
    return { reason, attempts: Infinity, retryAfterMs: undefined };
  }
}

function outcomeOf(status: number, retryAfter: string | null, text: string): Answer | Refusal {
  const body = parsedJson(text);
  if (status === 200) return judged(body);
  const { error, message } = problem.safeParse(body).data ?? { error: `HTTP ${status}`, message: '' };
  const reason = fatal[error];
  if (reason !== undefined) throw new ProbeError(reason, `${error}: ${message}`);
  if (status === 401 || status === 403) throw new ProbeError('Unauthorized', `the server answers ${status}`);
  if (status !== 429 && status < 500) return { said: { type: 'unanswered', reason: error } };
  const seconds = Number(retryAfter ?? Number.NaN);
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  return { reason: error, attempts: busy.has(status) ? Infinity : 2, retryAfterMs };
}

function judged(body: unknown): Answer {
  const parsed = answer.safeParse(body);
  if (!parsed.success) return { said: { type: 'unanswered', reason: 'the answer is not that of /analyze' } };
  const { data, model } = parsed.data;
  const { score, verdict, inconclusive_reasons: reasons, thresholds } = data;
  const by = {
    model: model.name,
    version: model.version,
    digest: model.digest,
    threshold: thresholds.high,
  };
  return score === null
    ? { said: { type: 'inconclusive', verdict, reasons }, by }
    : { said: { type: 'scored', score, verdict }, by };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** fetch says "fetch failed" and keeps the reason in the cause. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join('; ');
  return messageOf(cause ?? error);
}
