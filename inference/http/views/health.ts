/** What probes are told. */
import { z } from 'zod';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { readyEnsembles, readyEnsembleViews } from './ensembles.ts';
import { listOf } from './parts.ts';
import { uptimeSeconds } from './status.ts';

export const readinessAnswer = z.strictObject({
  status: z.enum(['ready', 'not_ready']),
  reason: z.string().optional().describe('Why requests should go elsewhere.'),
  model_loaded: z.boolean().describe('Whether the default model is loaded.'),
  checkpoint_path: z.string().describe('The folder of the default model.'),
  models: listOf(z.strictObject({ name: z.string(), digest: z.string(), loaded: z.boolean() })),
  ensembles: readyEnsembles,
});

/** @param reason why the server is not ready; undefined when it is */
export function readinessView(
  analyzer: Analyzer,
  reason: string | undefined,
): z.infer<typeof readinessAnswer> {
  const models = analyzer.models.map(({ name, digest }) => ({
    name,
    digest,
    loaded: analyzer.loadMs(name) !== undefined,
  }));
  return {
    ...(reason === undefined ? { status: 'ready' } : { status: 'not_ready', reason }),
    model_loaded: isDefaultLoaded(analyzer),
    checkpoint_path: defaultPackage(analyzer)?.directory ?? '',
    models,
    ensembles: readyEnsembleViews(analyzer),
  };
}

export const healthAnswer = z.strictObject({
  status: z.enum(['healthy', 'unhealthy']),
  ready: z.boolean(),
  model_loaded: z.boolean(),
  checkpoint_exists: z.boolean().describe('True for every package that the process has verified.'),
  model_version: z.string().describe('Of the default model.'),
  uptime_seconds: z.number(),
});

export function healthView(analyzer: Analyzer, ready: boolean): z.infer<typeof healthAnswer> {
  const model = defaultPackage(analyzer);
  return {
    status: ready ? 'healthy' : 'unhealthy',
    ready,
    model_loaded: isDefaultLoaded(analyzer),
    checkpoint_exists: model !== undefined,
    model_version: model?.manifest.version ?? '',
    uptime_seconds: uptimeSeconds(),
  };
}

function defaultPackage({ models, defaultModel }: Analyzer) {
  return models.find(({ name }) => name === defaultModel);
}

function isDefaultLoaded(analyzer: Analyzer): boolean {
  return analyzer.loadMs(analyzer.defaultModel) !== undefined;
}
