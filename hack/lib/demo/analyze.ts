// Posts the demo's samples to a running pod and turns the answers into a report.
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';

/** One file of test/fixtures/media and what is known about it. */
export interface Sample {
  readonly path: string;
  readonly modality: 'image' | 'audio';
  readonly truth: 'real' | 'fake';
}

/** Where the detectors of one modality answer. `url` has no trailing slash. */
export interface Endpoint {
  readonly url: string;
  readonly apiKey: string;
}

/** The fields of an `/analyze` answer that the report shows. */
export interface Answer {
  readonly data: {
    readonly verdict: string;
    readonly score: number | null;
    readonly thresholds: { readonly low: number; readonly high: number };
    readonly inconclusive_reasons: readonly string[];
    readonly processing_time: number;
  };
  readonly model: {
    readonly name: string;
    readonly version: string;
    readonly digest: string;
    readonly status: string;
  };
  readonly served_by: { readonly pod: string | null; readonly namespace: string | null };
}

export interface Result {
  readonly sample: Sample;
  readonly answer: Answer;
}

/**
 * Analyses one file.
 * @throws Error naming the file, the status and the server's message when the answer is not 200.
 */
export async function analyze(endpoint: Endpoint, sample: Sample): Promise<Result> {
  const form = new FormData();
  form.set('media', await openAsBlob(sample.path), basename(sample.path));
  const response = await fetch(`${endpoint.url}/analyze`, {
    method: 'POST',
    headers: { 'x-api-key': endpoint.apiKey },
    body: form,
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  if (response.status !== 200)
    throw new Error(`${sample.path}: HTTP ${response.status}: ${text.slice(0, 500)}`);
  return { sample, answer: JSON.parse(text) as Answer };
}

/** Whether a verdict agrees with what is known of the sample; undefined where the detector abstained. */
export function agrees(result: Result): boolean | undefined {
  switch (result.answer.data.verdict) {
    case 'DEEPFAKE':
      return result.sample.truth === 'fake';
    case 'AUTHENTIC':
      return result.sample.truth === 'real';
    default:
      return undefined;
  }
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

/** The verdicts as a text table, where each came from, and how many agree with the known truth. */
export function formatReport(results: readonly Result[]): string {
  const verdicts = table([
    ['sample', 'known to be', 'verdict', 'P(fake)', 'authentic <=', 'deepfake >=', 'seconds'],
    ...results.map(({ sample, answer: { data } }) => [
      basename(sample.path),
      sample.truth,
      data.inconclusive_reasons.length > 0
        ? `${data.verdict} (${data.inconclusive_reasons.join(', ')})`
        : data.verdict,
      data.score === null ? '-' : data.score.toFixed(3),
      data.thresholds.low.toFixed(2),
      data.thresholds.high.toFixed(2),
      data.processing_time.toFixed(2),
    ]),
  ]);
  const origins = table([
    ['sample', 'pod', 'model', 'digest', 'status'],
    ...results.map(({ sample, answer }) => [
      basename(sample.path),
      answer.served_by.pod === null
        ? 'this machine'
        : `${answer.served_by.namespace}/${answer.served_by.pod}`,
      `${answer.model.name} ${answer.model.version}`,
      answer.model.digest.slice(0, 'sha256:'.length + 12),
      answer.model.status,
    ]),
  ]);
  const agreements = results.map(agrees);
  const right = agreements.filter((agreement) => agreement === true).length;
  const wrong = agreements.filter((agreement) => agreement === false).length;
  const summary = `  ${right} agree with what is known, ${wrong} contradict it, ${results.length - right - wrong} abstain. Four files say nothing about accuracy: see the cards in models/.`;
  return `${verdicts}\n\n${origins}\n\n${summary}`;
}

/** Those lines of a Prometheus exposition that a person wants to see first. */
export function selectMetrics(exposition: string): string {
  const wanted = /^deepfake_(verdict_total|model_ready|inference_total|requests_total|queue_depth)/;
  return exposition
    .split('\n')
    .filter((line) => wanted.test(line))
    .map((line) => `  ${line}`)
    .join('\n');
}
