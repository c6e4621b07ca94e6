/** What the server says about itself: front page, statistics, machine, metrics. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ServerDependencies } from '../dependencies.ts';
import { serviceVersion } from '../version.ts';
import { decisionsAnswer, decisionsView } from '../views/decisions.ts';
import {
  configurationAnswer,
  configurationView,
  deviceAnswer,
  deviceView,
  rootAnswer,
  rootView,
  statsAnswer,
  statsView,
  systemAnswer,
  systemView,
} from '../views/status.ts';

const tags = ['status'];
const readers = { scope: 'read' } as const;

export function statusRoutes(app: FastifyInstance, dependencies: ServerDependencies): void {
  const { analyzer, config, metrics, decisions, isDraining } = dependencies;

  app.get('/', { schema: { summary: 'Active models', tags, response: { 200: rootAnswer } } }, async () =>
    rootView(analyzer),
  );

  const version = z.strictObject({
    version: z.string(),
    revision: z.string().nullable(),
    node_version: z.string(),
  });
  app.get(
    '/version',
    { schema: { summary: 'Version of the program', tags, response: { 200: version } } },
    async (): Promise<z.infer<typeof version>> => ({
      version: serviceVersion,
      revision: config.servedBy.revision,
      node_version: process.versions.node,
    }),
  );

  app.get(
    '/stats',
    {
      config: readers,
      schema: { summary: 'Server, machine and models in one answer', tags, response: { 200: statsAnswer } },
    },
    async () => statsView(config, analyzer, serviceVersion, await metrics.answeredByModel()),
  );

  app.get(
    '/device',
    { config: readers, schema: { summary: 'What computes', tags, response: { 200: deviceAnswer } } },
    async () => deviceView(config.device),
  );

  app.get(
    '/system',
    { config: readers, schema: { summary: 'The machine', tags, response: { 200: systemAnswer } } },
    async () => systemView(),
  );

  app.get(
    '/config',
    {
      config: readers,
      schema: {
        summary: 'The limits that the server was started with',
        tags,
        response: { 200: configurationAnswer },
      },
    },
    async () => configurationView(config, analyzer),
  );

  if (decisions.isKeeping) {
    app.get(
      '/decisions',
      {
        schema: {
          summary: 'The last decisions, by a hash of their request, for comparing revisions',
          tags,
          response: { 200: decisionsAnswer },
        },
      },
      async () => decisionsView(decisions.latest()),
    );
  }

  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Metrics in the format of Prometheus',
        tags,
        response: { 200: z.string().meta({ contentMediaType: 'text/plain' }) },
      },
    },
    async (_request, reply) => {
      const ready = analyzer.notReadyReason() === undefined && !isDraining() ? 1 : 0;
      // Models come and go.
      for (const gauge of [metrics.modelReady, metrics.modelLoadSeconds, metrics.modelInfo]) gauge.reset();
      for (const { name, digest, manifest } of analyzer.models) {
        const labels = { model: name, version: manifest.version };
        metrics.modelReady.set(labels, ready);
        const loadMs = analyzer.loadMs(name);
        if (loadMs !== undefined) metrics.modelLoadSeconds.set(labels, loadMs / 1000);
        metrics.modelInfo.set({ ...labels, digest }, 1);
      }
      reply.type(metrics.registry.contentType);
      return metrics.registry.metrics();
    },
  );
}
