/** The model repository extension: which models there are, and loading and unloading them. */
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { graphNames } from '../../models/graphs.ts';
import type { IndexEntry } from '../../pipelines/analyzer.ts';
import { inferenceProtocolErrors } from '../error-view.ts';
import type { RouteDependencies } from '../server.ts';
import { graphModelName, packageNamesOf } from './graph-model.ts';
import { emptyAnswer, indexAnswer, indexRequest, loadRequest, modelPath, unloadRequest } from './messages.ts';

const tags = ['inference protocol'];
const read = { scope: 'read', errors: inferenceProtocolErrors } as const;
const admin = { scope: 'admin', errors: inferenceProtocolErrors } as const;

export function repositoryRoutes(
  app: FastifyInstance,
  { analyzer }: RouteDependencies,
  bodyLimit: number,
): void {
  app.post<{ Body: z.infer<typeof indexRequest> }>(
    '/v2/repository/index',
    {
      bodyLimit,
      config: read,
      schema: {
        summary: 'The models and their states',
        tags,
        body: indexRequest,
        response: { 200: indexAnswer },
      },
    },
    async (request) =>
      analyzer
        .index()
        .filter(({ state }) => request.body?.ready !== true || state === 'READY')
        .flatMap((entry) => withGraphs(entry)),
  );

  app.post<{ Params: { model: string } }>(
    '/v2/repository/models/:model/load',
    {
      bodyLimit,
      config: admin,
      schema: {
        summary: 'Load a model; answered when it is ready',
        tags,
        params: modelPath,
        body: loadRequest,
        response: { 200: emptyAnswer },
      },
    },
    async (request) => {
      await analyzer.load(packageOf(request.params.model));
      return {};
    },
  );

  app.post<{ Params: { model: string } }>(
    '/v2/repository/models/:model/unload',
    {
      bodyLimit,
      config: admin,
      schema: {
        summary: 'Unload a model; answered when it is gone',
        tags,
        params: modelPath,
        body: unloadRequest,
        response: { 200: emptyAnswer },
      },
    },
    async (request) => {
      await analyzer.unload(packageOf(request.params.model));
      return {};
    },
  );

  /** A graph that can be spoken to is a model of its own. */
  function withGraphs({ name, version, state, reason }: IndexEntry): z.infer<typeof indexAnswer> {
    const entry = { name, version: version ?? '', state, reason: reason ?? '' };
    const graphs = graphNames.filter((graph) => analyzer.graph(name, graph) !== undefined);
    return [entry, ...graphs.map((graph) => ({ ...entry, name: graphModelName(name, graph) }))];
  }

  /** A package is loaded as a whole: each of its graphs stands for it. */
  function packageOf(model: string): string {
    const names = packageNamesOf(model);
    const known = names.find((candidate) => analyzer.index().some(({ name }) => name === candidate));
    return known ?? names.at(-1) ?? model;
  }
}
