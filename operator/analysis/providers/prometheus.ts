/** Instant queries of a Prometheus. Nothing secret is sent: a Prometheus that wants credentials needs a proxy before it. */
import { z } from 'zod';
import type { Metric } from '../../api/rollout/analysis.ts';
import { type Conditions, judgeByConditions, type Result } from '../conditions.ts';
import type { Taken } from '../evaluate.ts';
import { numberOf } from '../exposition.ts';
import { getText } from '../http.ts';

export type Prometheus = NonNullable<Metric['prometheus']>;

/** What {{…}} in a query stands for. */
export interface QueryNames {
  readonly name: string;
  readonly namespace: string;
  readonly canaryRevision: string;
  readonly stableRevision: string;
}

const DEFAULT_TIMEOUT_S = 30;
const MAX_BYTES = 1024 ** 2;
/** A query for one rollout has a few series. More is a query without its labels, and would be judged as something that it is not. */
const MAX_SERIES = 100;
const VALUE_MAX = 1000;

const sampleValue = z.tuple([z.number(), z.string()]);
const success = z.object({
  status: z.literal('success'),
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('scalar'), result: sampleValue }),
    z.object({
      resultType: z.literal('vector'),
      result: z.array(z.object({ value: sampleValue.optional() })),
    }),
    z.object({ resultType: z.literal('matrix') }),
    z.object({ resultType: z.literal('string') }),
  ]),
});
const failure = z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() });

const names: readonly (keyof QueryNames)[] = ['name', 'namespace', 'canaryRevision', 'stableRevision'];
const placeholder = /\{\{\s*([\w.-]+)\s*\}\}/g;
const isName = (text: string): text is keyof QueryNames => names.some((name) => name === text);

/** What is wrong with the names in a query, or undefined. */
export function checkQuery(query: string): string | undefined {
  const [unknown] = [...query.matchAll(placeholder)].flatMap(([, name = '']) => (isName(name) ? [] : [name]));
  return unknown === undefined ? undefined : `{{${unknown}}} is none of ${names.join(', ')}`;
}

/** A name that is not one of those is left as it is: see `checkQuery`. */
export const resolveQuery = (query: string, values: QueryNames): string =>
  query.replace(placeholder, (text, name: string) => (isName(name) ? values[name] : text));

/** An answer that cannot be had is an Error. Rejects only when the signal aborts. */
export async function measurePrometheus(
  prometheus: Prometheus,
  conditions: Conditions,
  values: QueryNames,
  signal: AbortSignal,
): Promise<Taken> {
  try {
    const result = await instantQuery(prometheus, values, signal);
    return { ...judgeByConditions(result, conditions), value: valueText(result) };
  } catch (error) {
    signal.throwIfAborted();
    return {
      phase: 'Error',
      message: `Prometheus at ${originOf(prometheus.address)}: ${(error as Error).message}`,
    };
  }
}

/** @throws Error in one line */
export async function instantQuery(
  { address, query, timeoutSeconds = DEFAULT_TIMEOUT_S }: Prometheus,
  values: QueryNames,
  signal: AbortSignal,
): Promise<Result> {
  const url = new URL(`${address.replace(/\/+$/, '')}/api/v1/query`);
  url.searchParams.set('query', resolveQuery(query, values));
  url.searchParams.set('timeout', `${timeoutSeconds}s`);
  const { status, text } = await getText(url.href, {
    timeoutMs: timeoutSeconds * 1000,
    maxBytes: MAX_BYTES,
    signal,
  });
  const body = parsedJson(text);
  const refused = failure.safeParse(body);
  if (refused.success) throw new Error(`${refused.data.errorType}: ${oneLine(refused.data.error)}`);
  if (status !== 200) throw new Error(`answered ${status}`);
  const answer = success.safeParse(body);
  if (!answer.success) throw new Error('what answers is no Prometheus');
  return resultOf(answer.data.data);
}

function resultOf(data: z.output<typeof success>['data']): Result {
  if (data.resultType === 'scalar') return sampleOf(data.result);
  if (data.resultType !== 'vector')
    throw new Error(`the query gives a ${data.resultType}; a number or an instant vector can be judged`);
  if (data.result.length > MAX_SERIES)
    throw new Error(`the query gives ${data.result.length} series, more than ${MAX_SERIES}: aggregate them`);
  return data.result.map(({ value }) => {
    if (value === undefined) throw new Error('the query gives histograms: ask for a quantile of them');
    return sampleOf(value);
  });
}

function sampleOf([, text]: readonly [number, string]): number {
  const value = numberOf(text);
  if (value === undefined) throw new Error(`a value is no number: ${text.slice(0, 40)}`);
  return value;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As Prometheus writes numbers; JSON has no NaN. */
function valueText(result: Result): string {
  const text = typeof result === 'number' ? String(result) : `[${result.join(',')}]`;
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text;
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').slice(0, 300);

/** An address may hold a user and a password. */
function originOf(address: string): string {
  try {
    return new URL(address).host;
  } catch {
    return 'an address that is none';
  }
}
