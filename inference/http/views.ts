/** The shapes of the answers: plain functions from what is known to what is sent. */
import type { MediaKind } from '../media/sniff.ts';
import type { NamedPackage } from '../models/package.ts';
import { confidenceOf, predictionOf } from '../models/verdict.ts';
import type { Analyzer } from '../pipelines/analyzer.ts';
import type { Detection } from './detections.ts';

export interface ServedBy {
  readonly pod: string | null;
  readonly namespace: string | null;
  readonly revision: string | null;
}

export interface AnswerContext {
  readonly requestId: string;
  readonly now: Date;
  readonly device: string;
  readonly servedBy: ServedBy;
}

export function analysisView(detection: Detection, context: AnswerContext) {
  const { analysis, model, cache, lookUpMs, queueMs, kind, mime, media, uploadMs, totalMs } = detection;
  const { thresholds } = model.manifest;
  const prediction = predictionOf(analysis.score, thresholds);
  return {
    success: true,
    model_used: model.name,
    timestamp: context.now.toISOString(),
    data: {
      prediction,
      verdict: analysis.verdict,
      score: roundedScore(analysis.score),
      confidence: roundedScore(confidenceOf(analysis.score, prediction)),
      calibrated: model.manifest.calibration.method !== 'none',
      thresholds,
      inconclusive_reasons: analysis.inconclusiveReasons,
      explanations: analysis.explanations,
      signals: rounded(analysis.signals),
      ...(analysis.segments === undefined ? {} : { segments: rounded(analysis.segments) }),
      ...(analysis.dimensions === undefined ? {} : { dimensions: analysis.dimensions }),
      ...(analysis.properties === undefined ? {} : { properties: rounded(analysis.properties) }),
      media_type: kind,
      media: { sha256: media.file.sha256, bytes: media.file.bytes, mime },
      note: noteOf(detection),
      processing_time: Math.round(totalMs) / 1000,
      timings_ms: rounded({
        upload: uploadMs,
        ...(lookUpMs === undefined ? {} : { cache: lookUpMs }),
        queue: queueMs,
        ...analysis.timingsMs,
        total: totalMs,
      }),
    },
    model: { ...identityOf(model), device: context.device },
    cache: { hit: cache === 'hit' },
    served_by: context.servedBy,
    request_id: context.requestId,
  };
}

export function noteOf({ media: { claimedType }, analysis, kind, mime, model }: Detection): string {
  const notes = [...analysis.notes];
  const claimedKind = claimedType.split('/', 1)[0] ?? '';
  if (isMediaKind(claimedKind) && claimedKind !== kind) {
    notes.push(`The upload was declared as ${claimedType}, but its content is ${mime}.`);
  }
  if (analysis.score === null) notes.push('Nothing could be judged: see inconclusive_reasons.');
  if (model.manifest.card.status === 'demonstration') {
    notes.push('This is a demonstration model: do not rely on its verdict.');
  }
  return notes.join(' ');
}

function isMediaKind(text: string): text is MediaKind {
  return text === 'image' || text === 'audio' || text === 'video';
}

function identityOf(model: NamedPackage) {
  const { name, version, card } = model.manifest;
  return { name: model.name, package: name, version, digest: model.digest, status: card.status };
}

export function modelsView(analyzer: Analyzer, device: string, countOf: (model: string) => number) {
  const ready = analyzer.notReadyReason() === undefined;
  const models = analyzer.models.map((model) => {
    const { manifest } = model;
    return {
      ...identityOf(model),
      class_name: manifest.pipeline.type,
      description: manifest.description,
      loaded: analyzer.loadMs(model.name) !== undefined,
      device,
      model_path: model.directory,
      isAudio: manifest.modality === 'audio',
      isVideo: manifest.modality === 'video',
      isImage: manifest.modality === 'image',
      isMultiModal: false,
      load_time: seconds(analyzer.loadMs(model.name)),
      inference_count: countOf(model.name),
      thresholds: manifest.thresholds,
      calibration: manifest.calibration,
      card: manifest.card,
    };
  });
  const names = models.map((model) => model.name);
  const summary = {
    total_configured: names.length,
    currently_loaded: models.filter((model) => model.loaded).length,
    active_models: names,
    loaded_models: models.filter((model) => model.loaded).map((model) => model.name),
    default_model: analyzer.defaultModel,
    ready,
  };
  return { models, summary };
}

export function rootView(analyzer: Analyzer) {
  return {
    status: 'ok',
    active_models: analyzer.models.map(({ name, manifest }) => ({
      name,
      loaded: analyzer.loadMs(name) !== undefined,
      description: manifest.description,
    })),
    default_model: analyzer.defaultModel,
  };
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms) / 1000;
}

export function roundedScore(score: number | null): number | null {
  return score === null ? null : Math.round(score * 1e6) / 1e6;
}

/** Four decimals are enough for every number that is not the score itself. */
function rounded<T>(value: T): T {
  if (typeof value === 'number') return (Math.round(value * 1e4) / 1e4) as T;
  if (Array.isArray(value)) return value.map((item) => rounded(item)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, rounded(item)])) as T;
}
