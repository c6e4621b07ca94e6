/** What the server says about its ensembles. */
import { z } from 'zod';
import type { Analyzer } from '../../pipelines/analyzer.ts';
import { type Ensemble, groupDigest, withServingNames } from '../../pipelines/fusion/ensemble.ts';
import { versionOf } from '../../pipelines/fusion/fused-analysis.ts';
import { listOf, thresholds } from './parts.ts';

const member = z.strictObject({
  name: z.string(),
  weight: z.number().nullable().describe('Null where the method has none.'),
  missing: z.number().nullable().describe('What it adds without a score; null where the method has none.'),
  loaded: z.boolean(),
});

export const ensembleInfo = z.strictObject({
  name: z.string(),
  version: z.string().describe('Another one whenever a weight, a threshold or a package is another one.'),
  digest: z.string(),
  method: z.enum(['max', 'mean', 'weighted', 'logistic']),
  models: listOf(member),
  intercept: z.number().nullable(),
  thresholds,
  min_models: z.int(),
  on_disagreement: z.enum(['abstain', 'warn']),
  ready: z.boolean().describe('Whether as many models are loaded as have to give a score.'),
});

export const ensembleInfos = listOf(ensembleInfo).describe(
  'Models that judge together, each asked for by its name as a model is.',
);

export const readyEnsembles = listOf(
  ensembleInfo.pick({ name: true, ready: true }).extend({
    missing: listOf(z.string()).describe('Its models that are not loaded.'),
  }),
);

export function ensembleInfoViews(analyzer: Analyzer): z.infer<typeof ensembleInfos> {
  return analyzer.ensembles.map((configured) => {
    const {
      name,
      models,
      combination,
      thresholds: limits,
      minModels,
      onDisagreement,
    } = served(configured, analyzer);
    const members = analyzer.models.filter((model) => models.includes(model.name));
    const digest = groupDigest(served(configured, analyzer), members);
    return {
      name,
      version: versionOf(digest),
      digest,
      method: combination.method,
      models: models.map((model) => ({
        name: model,
        weight: 'weights' in combination ? (combination.weights.get(model) ?? 0) : null,
        missing: 'missing' in combination ? (combination.missing.get(model) ?? 0) : null,
        loaded: analyzer.loadMs(model) !== undefined,
      })),
      intercept: 'intercept' in combination ? combination.intercept : null,
      thresholds: limits,
      min_models: minModels,
      on_disagreement: onDisagreement,
      ready: isReady(configured, analyzer),
    };
  });
}

export function readyEnsembleViews(analyzer: Analyzer): z.infer<typeof readyEnsembles> {
  return analyzer.ensembles.map((configured) => ({
    name: configured.name,
    ready: isReady(configured, analyzer),
    missing: missingOf(configured, analyzer),
  }));
}

function served(ensemble: Ensemble, analyzer: Analyzer): Ensemble {
  const names = analyzer.models.map(({ name }) => name);
  return withServingNames(ensemble, names);
}

function missingOf(ensemble: Ensemble, analyzer: Analyzer): string[] {
  return served(ensemble, analyzer).models.filter((name) => analyzer.loadMs(name) === undefined);
}

function isReady(ensemble: Ensemble, analyzer: Analyzer): boolean {
  return ensemble.models.length - missingOf(ensemble, analyzer).length >= ensemble.minModels;
}
