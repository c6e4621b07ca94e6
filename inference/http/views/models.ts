/** What the server says about its models. */
import { z } from 'zod';
import { graphsOf } from '../../models/graphs.ts';
import type { NamedPackage } from '../../models/package.ts';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { ensembleInfos, ensembleInfoViews } from './ensembles.ts';
import { secondsOf } from './numbers.ts';
import { identityOf, listOf, mediaKind, modelIdentity, thresholds } from './parts.ts';

const calibration = z.record(
  z.string(),
  z.union([
    z.string(),
    z.number(),
    z.array(z.strictObject({ logit: z.number(), score: z.number() })).describe('A rising table.'),
  ]),
);
const card = z
  .record(z.string(), z.unknown())
  .describe('Licence, intended use, limitations, training data, evaluation.');

const modelInfo = modelIdentity.extend({
  class_name: z.string(),
  description: z.string(),
  loaded: z.boolean(),
  device: z.string(),
  model_path: z.string(),
  isAudio: z.boolean(),
  isVideo: z.boolean(),
  isImage: z.boolean(),
  isMultiModal: z.boolean(),
  load_time: z.number().nullable().describe('Seconds; null before it is loaded.'),
  inference_count: z.int(),
  thresholds,
  calibration,
  card,
});

export const modelsAnswer = z.strictObject({
  models: listOf(modelInfo),
  ensembles: ensembleInfos,
  summary: z.strictObject({
    total_configured: z.int(),
    currently_loaded: z.int(),
    active_models: listOf(z.string()),
    loaded_models: listOf(z.string()),
    default_model: z.string(),
    ready: z.boolean(),
  }),
});

/** Analyses that a model has answered, by its serving name. */
export type CountOf = (model: string) => number;

export const modelInfos = listOf(modelInfo);

export function modelInfoViews(
  analyzer: Analyzer,
  device: string,
  countOf: CountOf,
): z.infer<typeof modelInfos> {
  return analyzer.models.map((model) => {
    const { manifest } = model;
    const loadMs = analyzer.loadMs(model.name);
    return {
      ...identityOf(model),
      class_name: manifest.pipeline.type,
      description: manifest.description,
      loaded: loadMs !== undefined,
      device,
      model_path: model.directory,
      isAudio: manifest.modality === 'audio',
      isVideo: manifest.modality === 'video',
      isImage: manifest.modality === 'image',
      isMultiModal: manifest.pipeline.type === 'video-audio',
      load_time: loadMs === undefined ? null : secondsOf(loadMs),
      inference_count: countOf(model.name),
      thresholds: manifest.thresholds,
      calibration: manifest.calibration,
      card: manifest.card,
    };
  });
}

export function modelsView(
  analyzer: Analyzer,
  device: string,
  countOf: CountOf,
): z.infer<typeof modelsAnswer> {
  const models = modelInfoViews(analyzer, device, countOf);
  const names = models.map((model) => model.name);
  const loaded = models.filter((model) => model.loaded).map((model) => model.name);
  const summary = {
    total_configured: names.length,
    currently_loaded: loaded.length,
    active_models: names,
    loaded_models: loaded,
    default_model: analyzer.defaultModel,
    ready: analyzer.notReadyReason() === undefined,
  };
  return { models, ensembles: ensembleInfoViews(analyzer), summary };
}

const modelSummary = modelIdentity.extend({
  modality: mediaKind,
  description: z.string(),
  loaded: z.boolean(),
  default: z.boolean(),
});

export const catalogueAnswer = z.strictObject({ models: listOf(modelSummary), ensembles: ensembleInfos });

export const modelCardAnswer = modelSummary.extend({
  pipeline: z.record(z.string(), z.unknown()),
  output: z.record(z.string(), z.unknown()),
  thresholds,
  calibration,
  graphs: z.record(z.string(), z.strictObject({ file: z.string(), sha256: z.string() })),
  golden_samples: z.int().describe('Files whose scores every worker reproduces before it takes requests.'),
  size_bytes: z.int(),
  card,
});

export function catalogueView(analyzer: Analyzer): z.infer<typeof catalogueAnswer> {
  return {
    models: analyzer.models.map((model) => summaryOf(analyzer, model)),
    ensembles: ensembleInfoViews(analyzer),
  };
}

export function modelCardView(analyzer: Analyzer, model: NamedPackage): z.infer<typeof modelCardAnswer> {
  const {
    pipeline,
    output,
    thresholds: limits,
    calibration: method,
    graphs,
    golden,
    card: prose,
  } = model.manifest;
  return {
    ...summaryOf(analyzer, model),
    pipeline,
    output,
    thresholds: limits,
    calibration: method,
    graphs: Object.fromEntries(
      graphsOf({ graphs }).map(({ name, graph: { file, sha256 } }) => [name, { file, sha256 }]),
    ),
    golden_samples: golden.length,
    size_bytes: model.sizeBytes,
    card: prose,
  };
}

function summaryOf(analyzer: Analyzer, model: NamedPackage): z.infer<typeof modelSummary> {
  return {
    ...identityOf(model),
    modality: model.manifest.modality,
    description: model.manifest.description,
    loaded: analyzer.loadMs(model.name) !== undefined,
    default: model.name === analyzer.defaultModel,
  };
}
