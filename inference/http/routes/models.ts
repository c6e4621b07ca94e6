/** The active models: a list with statistics, a catalogue and a card of each. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { serviceError } from '../../errors.ts';
import { knownNames } from '../../pipelines/fusion/selection.ts';
import type { ServerDependencies } from '../dependencies.ts';
import { ensembleInfo, ensembleInfoViews } from '../views/ensembles.ts';
import {
  catalogueAnswer,
  catalogueView,
  modelCardAnswer,
  modelCardView,
  modelsAnswer,
  modelsView,
} from '../views/models.ts';

const tags = ['models'];
const readers = { scope: 'read' } as const;

export function modelRoutes(app: FastifyInstance, { analyzer, config, metrics }: ServerDependencies): void {
  app.get(
    '/models',
    {
      config: readers,
      schema: {
        summary: 'Active models with load times, counts and cards',
        tags,
        response: { 200: modelsAnswer },
      },
    },
    async () => modelsView(analyzer, config.device, await metrics.answeredByModel()),
  );

  app.get(
    '/v1/models',
    { config: readers, schema: { summary: 'Active models', tags, response: { 200: catalogueAnswer } } },
    async () => catalogueView(analyzer),
  );

  const params = z.object({ name: z.string().describe('The serving name.') });
  app.get<{ Params: z.infer<typeof params> }>(
    '/v1/models/:name',
    {
      config: { ...readers, errors: { statuses: { unknown_model: 404 } }, failsWith: ['unknown_model'] },
      schema: {
        summary: 'The card of a model or of an ensemble',
        tags,
        params,
        response: { 200: z.union([modelCardAnswer, ensembleInfo]) },
      },
    },
    async ({ params: { name } }) =>
      ensembleInfoViews(analyzer).find((ensemble) => ensemble.name === name) ??
      modelCardView(analyzer, modelCalled(name)),
  );

  function modelCalled(name: string) {
    const model = analyzer.models.find((candidate) => candidate.name === name);
    if (model !== undefined) return model;
    const known = knownNames(analyzer.served);
    throw serviceError('unknown_model', { model: name, known });
  }
}
