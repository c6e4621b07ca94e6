/** What is known for good of a file and a model, and how it is kept: JSON under a key that names everything it depends on. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Config } from '../config/config.ts';
import { type ErrorCode, ServiceError, type ServiceErrorData } from '../errors.ts';
import type { NamedPackage } from '../models/package.ts';
import type { Analysis, Extras } from '../pipelines/analysis.ts';

export type Judgement =
  | { readonly type: 'analysis'; readonly analysis: Analysis }
  /** The media cannot be analysed, whoever tries. */
  | { readonly type: 'refusal'; readonly error: ServiceErrorData };

/** Raised whenever the same package would say something else of the same bytes, or says it in another shape. */
const answerVersion = 2;

/** Errors that are properties of the media. No other error is ever kept: it may be gone at the next attempt. */
const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'corrupt_media',
  'unsupported_media',
  'image_too_large',
  'video_too_large',
  'media_too_long',
]);

/** The configuration that changes answers. A new variable that does belongs here. */
export type AnswerSettings = Readonly<Record<string, string | number>>;

export function answerSettings(config: Config): AnswerSettings {
  const { device, maxImagePixels, maxVideoPixels, maxVideoSeconds, perturbationRuns } = config;
  return { device, maxImagePixels, maxVideoPixels, maxVideoSeconds, perturbationRuns };
}

export interface Subject {
  /** Of the file's bytes: 64 hexadecimal digits. */
  readonly sha256: string;
  /** The package, and which of its graphs is served. */
  readonly model: Pick<NamedPackage, 'digest' | 'precision'>;
  readonly settings: AnswerSettings;
  readonly extras?: Extras;
}

/** 64 hexadecimal digits. */
export function judgementKey({ sha256, model, settings, extras }: Subject): string {
  const asked = Object.entries(extras ?? {}).filter(([, wish]) => wish !== undefined);
  const sorted = [...Object.entries(settings), ...asked].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = JSON.stringify([answerVersion, sha256, model.digest, model.precision, sorted]);
  return createHash('sha256').update(parts).digest('hex');
}

/** The judgement that an error stands for; undefined for an error that says nothing about the media. */
export function refusalOf(error: unknown): Judgement | undefined {
  if (!(error instanceof ServiceError) || !refusals.has(error.code)) return undefined;
  return { type: 'refusal', error: { code: error.code, params: error.params } };
}

/** What a damaged or foreign entry could turn into a wrong answer is checked; the rest of an analysis is passed on as it is. */
const keptSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('analysis'),
    analysis: z
      .looseObject({
        score: z.number().min(0).max(1).nullable(),
        verdict: z.enum(['AUTHENTIC', 'SUSPICIOUS', 'DEEPFAKE', 'INCONCLUSIVE']),
        inconclusiveReasons: z.array(z.string()),
        explanations: z.array(z.object({ code: z.string(), text: z.string(), value: z.number().optional() })),
        signals: z.record(z.string(), z.unknown()),
        notes: z.array(z.string()),
        timingsMs: z.record(z.string(), z.number()),
      })
      .refine(({ score, verdict }) => (score === null) === (verdict === 'INCONCLUSIVE')),
  }),
  z.object({
    type: z.literal('refusal'),
    error: z.object({
      code: z.enum([...refusals] as [ErrorCode, ...ErrorCode[]]),
      params: z.record(z.string(), z.union([z.string(), z.number()])),
    }),
  }),
]);

export function encodeJudgement(judgement: Judgement): string {
  return JSON.stringify(judgement);
}

/** @throws SyntaxError, ZodError for what is no judgement */
export function decodeJudgement(text: string): Judgement {
  return keptSchema.parse(JSON.parse(text)) as Judgement;
}
