/** The answer of `POST /analyze` and how a person reads it. Pure. */
import { oneLine, type Paint, type Style, shortDigest, table } from '../text.ts';

/** The part of the answer that is shown. */
export interface Answer {
  readonly data: {
    readonly verdict: string;
    /** Calibrated P(fake), 0..1; null where nothing could be judged. */
    readonly score: number | null;
    readonly confidence: number | null;
    readonly calibrated?: boolean;
    readonly thresholds?: { readonly low: number; readonly high: number };
    readonly inconclusive_reasons?: readonly string[];
    readonly explanations?: readonly { readonly text: string }[];
    readonly note?: string;
    /** s */
    readonly processing_time?: number;
  };
  readonly model: {
    readonly name: string;
    readonly version: string;
    readonly status: string;
    readonly digest: string;
    readonly device: string;
  };
  readonly served_by?: { readonly pod: string | null };
}

const STYLES: Readonly<Record<string, Style>> = {
  AUTHENTIC: 'good',
  SUSPICIOUS: 'warning',
  DEEPFAKE: 'bad',
};

export function renderAnswer(file: string, { data, model, served_by: server }: Answer, paint: Paint): string {
  const { version, status, digest, device } = model;
  const { low, high } = data.thresholds ?? {};
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['File:', file],
    ['Verdict:', paint(STYLES[data.verdict] ?? 'busy', data.verdict)],
    [
      'P(fake):',
      data.score === null ? 'not judged' : percent(data.score) + (data.calibrated ? '' : ', not calibrated'),
    ],
    [
      'Thresholds:',
      low === undefined || high === undefined
        ? undefined
        : `authentic up to ${percent(low)}, deepfake from ${percent(high)}`,
    ],
    ['Confidence:', data.confidence === null ? undefined : percent(data.confidence)],
    ['Inconclusive:', data.inconclusive_reasons?.join(', ')],
    ['Model:', [model.name, version, status, device, shortDigest(digest)].join(', ')],
    ['Pod:', server?.pod ?? undefined],
    ['Time:', data.processing_time === undefined ? undefined : `${data.processing_time} s`],
    ['Note:', data.note && oneLine(data.note)],
  ];
  const facts = table(rows.flatMap(([title, value]) => (value ? [[title, value]] : [])));
  const reasons = (data.explanations ?? []).map(({ text }) => `- ${oneLine(text)}`);
  return [facts, ...(reasons.length === 0 ? [] : [reasons.join('\n')])].join('\n\n');
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
