/** What the detectors' document is made of: files that packages bring, and what the bench measured last. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Manifest, parseManifest } from '../../../../inference/models/manifest.ts';

const figure = z.object({
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});
const figures = z.record(z.string(), figure);
const countedReasons = z.record(z.string(), z.int());

/** `results.json` of `models/training/run evaluate`, without what the document does not show. */
export const resultsSchema = z.object({
  data: z.object({
    name: z.string(),
    files: z.int(),
    judged: z.int(),
    leftOut: countedReasons,
    reals: z.int(),
    fakes: z.int(),
    sources: z.int(),
  }),
  scoredBy: z.string(),
  intervals: z.string(),
  figures,
  byGenerator: z.record(z.string(), figure.extend({ fakes: z.int(), reals: z.int() })),
  metadataControl: figure,
  reliability: z.array(z.object({ count: z.int(), score: z.number(), fakes: z.number() })),
  riskCoverage: z.array(z.object({ coverage: z.number(), risk: z.number() })),
  robustness: z
    .array(
      z.object({
        step: z.string(),
        judged: z.int(),
        leftOut: z.union([z.string(), countedReasons]),
        figures: figures.optional(),
      }),
    )
    .default([]),
});

/** `about.json` of `models/training/run media`. */
export const aboutSchema = z.object({
  seen: z.array(z.string()),
  unseen: z.array(z.string()),
  leftOut: z.array(z.string()),
});

const latency = z.object({
  files: z.int(),
  requests: z.int(),
  failed: z.int(),
  p50Ms: z.number(),
  p95Ms: z.number(),
});

const measuredModel = z.object({
  /** As it was when this model's turn came. */
  machine: z.object({
    cores: z.int(),
    processor: z.string(),
    memoryGiB: z.int(),
    node: z.string(),
    loadAverage: z.number(),
  }),
  version: z.string(),
  graphSha256: z.string(),
  media: aboutSchema,
  results: resultsSchema,
  latency,
});

const measurementsSchema = z.object({ models: z.record(z.string(), measuredModel) });

const evaluationSchema = z.object({
  name: z.string(),
  version: z.string(),
  rows: z.array(
    z.object({
      dataset: z.string(),
      metric: z.string(),
      value: z.number(),
      low: z.number().optional(),
      high: z.number().optional(),
      positives: z.int().optional(),
      negatives: z.int().optional(),
      note: z.string().optional(),
    }),
  ),
});

export type Figure = z.infer<typeof figure>;
export type Results = z.infer<typeof resultsSchema>;
export type Measurements = z.infer<typeof measurementsSchema>;
export type MeasuredModel = z.infer<typeof measuredModel>;
export type EvaluationRow = z.infer<typeof evaluationSchema>['rows'][number];

export interface DescribedModel {
  /** The folder's name. */
  readonly name: string;
  readonly manifest: Manifest;
  /** Of `evaluation.json`; none where the package brings no such file. */
  readonly rows: readonly EvaluationRow[];
  readonly graphBytes: number;
  /** Absent where the bench has not measured this very graph. */
  readonly measured?: MeasuredModel;
}

export interface Described {
  readonly models: readonly DescribedModel[];
}

export const MEASUREMENTS = 'docs/benchmarks/detectors.json';

/** Serving names of the packages in a folder, in order. */
export function packagesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'model.yaml')))
    .sort();
}

/** @throws Error naming the file that is not what it should be */
export function readMeasurements(repository: string): Measurements | undefined {
  const path = join(repository, MEASUREMENTS);
  return existsSync(path) ? parsed(path, measurementsSchema) : undefined;
}

/** All that the document shows. Measurements of another graph than the package's count for nothing. */
export function describe(repository: string): Described {
  const measurements = readMeasurements(repository);
  const folder = join(repository, 'models');
  const models = packagesIn(folder).map((name) => {
    const manifest = parseManifest(readFileSync(join(folder, name, 'model.yaml'), 'utf8'));
    const { sha256 } = manifest.graphs.classifier;
    const graphs = Object.values(manifest.graphs).filter((graph) => graph !== undefined);
    const evaluation = join(folder, name, 'evaluation.json');
    const measured = measurements?.models[name];
    return {
      name,
      manifest,
      rows: existsSync(evaluation) ? parsed(evaluation, evaluationSchema).rows : [],
      graphBytes: graphs.reduce((sum, { file }) => sum + statSync(join(folder, name, file)).size, 0),
      ...(measured?.graphSha256 === sha256 ? { measured } : {}),
    };
  });
  return { models };
}

/** The JSON file as the schema has it. @throws Error naming the file */
export function parsed<T>(path: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new Error(`${path} is not what hack/bench detectors and models/training/run write`, { cause });
  }
}
