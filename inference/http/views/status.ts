/** What the server says about itself and its machine. */
import { availableParallelism, cpus, freemem, totalmem, type } from 'node:os';
import { z } from 'zod';
import type { Config } from '../../config/config.ts';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { type CountOf, modelInfos, modelInfoViews } from './models.ts';
import { gibOf } from './numbers.ts';
import { listOf } from './parts.ts';

export const rootAnswer = z.strictObject({
  status: z.literal('ok'),
  active_models: listOf(z.strictObject({ name: z.string(), loaded: z.boolean(), description: z.string() })),
  default_model: z.string(),
});

export function rootView(analyzer: Analyzer): z.infer<typeof rootAnswer> {
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

export const deviceAnswer = z.strictObject({
  type: z.enum(['cpu', 'cuda', 'tensorrt']),
  name: z.string().optional().describe('Of the processor; a GPU is known to ONNX Runtime alone.'),
});

export function deviceView(device: Config['device']): z.infer<typeof deviceAnswer> {
  const name = cpus()[0]?.model;
  return { type: device, ...(device === 'cpu' && name !== undefined ? { name } : {}) };
}

export const systemAnswer = z.strictObject({
  python_version: z.literal('n/a'),
  node_version: z.string(),
  platform: z.string(),
  cpu_count: z.int(),
  total_ram: z.number().describe('GiB, as the container may use it.'),
  used_ram: z.number().describe('GiB'),
  ram_usage_percent: z.number().min(0).max(100),
  uptime_seconds: z.number(),
});

export function systemView(): z.infer<typeof systemAnswer> {
  const { totalBytes, usedBytes } = memory();
  return {
    python_version: 'n/a',
    node_version: process.versions.node,
    platform: `${type()} ${process.arch}`,
    cpu_count: availableParallelism(),
    total_ram: gibOf(totalBytes),
    used_ram: gibOf(usedBytes),
    ram_usage_percent: Math.min(100, Math.round((1000 * usedBytes) / totalBytes) / 10),
    uptime_seconds: uptimeSeconds(),
  };
}

/** A limited container counts its own process, a machine without limits everything that runs on it. */
function memory(): { totalBytes: number; usedBytes: number } {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem()
    ? { totalBytes: limit, usedBytes: process.memoryUsage.rss() }
    : { totalBytes: totalmem(), usedBytes: totalmem() - freemem() };
}

export function uptimeSeconds(): number {
  return Math.round(process.uptime() * 10) / 10;
}

export const configurationAnswer = z.strictObject({
  device: z.string(),
  default_model_name: z.string(),
  active_models: listOf(z.string()),
  max_upload_bytes: z.int(),
  max_image_pixels: z.int(),
  max_queue: z.int(),
  request_timeout_ms: z.int(),
  upload_timeout_ms: z.int(),
});

/** Nothing secret, and nothing that only a person with access to the process should know. */
export function configurationView(config: Config, analyzer: Analyzer): z.infer<typeof configurationAnswer> {
  return {
    device: config.device,
    default_model_name: analyzer.defaultModel,
    active_models: analyzer.models.map(({ name }) => name),
    max_upload_bytes: config.maxUploadBytes,
    max_image_pixels: config.maxImagePixels,
    max_queue: config.maxQueue,
    request_timeout_ms: config.requestTimeoutMs,
    upload_timeout_ms: config.uploadTimeoutMs,
  };
}

export const statsAnswer = z.strictObject({
  service_name: z.string(),
  version: z.string(),
  status: z.literal('running'),
  uptime_seconds: z.number(),
  device_info: deviceAnswer,
  system_info: systemAnswer,
  models_info: modelInfos,
  active_models_count: z.int(),
  total_models_count: z.int(),
  configuration: configurationAnswer,
});

export function statsView(
  config: Config,
  analyzer: Analyzer,
  version: string,
  countOf: CountOf,
): z.infer<typeof statsAnswer> {
  const models = modelInfoViews(analyzer, config.device, countOf);
  return {
    service_name: 'deepfake-inference',
    version,
    status: 'running',
    uptime_seconds: uptimeSeconds(),
    device_info: deviceView(config.device),
    system_info: systemView(),
    models_info: models,
    active_models_count: models.filter(({ loaded }) => loaded).length,
    total_models_count: models.length,
    configuration: configurationView(config, analyzer),
  };
}
