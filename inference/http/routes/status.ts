/** What the server says about itself: probes, models, metrics. */
import type { FastifyInstance } from 'fastify';
import type { ServerDependencies } from '../dependencies.ts';
import { modelsView, rootView } from '../views.ts';

export function statusRoutes(app: FastifyInstance, dependencies: ServerDependencies): void {
  const { analyzer, config, metrics, isDraining } = dependencies;

  app.get('/', async () => rootView(analyzer));
  app.get('/ping', async () => ({ status: 'pong' }));
  app.get('/health/live', async () => ({ status: 'alive' }));

  app.get('/health/ready', async (_request, reply) => {
    const reason = isDraining() ? 'the server is shutting down' : analyzer.notReadyReason();
    reply.code(reason === undefined ? 200 : 503);
    const models = analyzer.models.map(({ name, digest }) => ({
      name,
      digest,
      loaded: analyzer.loadMs(name) !== undefined,
    }));
    return reason === undefined ? { status: 'ready', models } : { status: 'not_ready', reason, models };
  });

  app.get('/models', { config: { scope: 'read' } }, async () => {
    const counts = await metrics.inferences.get();
    const countOf = (name: string) =>
      counts.values
        .filter(
          ({ labels }) =>
            labels.model === name && (labels.result === 'ok' || labels.result === 'inconclusive'),
        )
        .reduce((sum, { value }) => sum + value, 0);
    return modelsView(analyzer, config.device, countOf);
  });

  app.get('/metrics', async (_request, reply) => {
    const ready = analyzer.notReadyReason() === undefined && !isDraining() ? 1 : 0;
    for (const { name, digest, manifest } of analyzer.models) {
      const labels = { model: name, version: manifest.version };
      metrics.modelReady.set(labels, ready);
      const loadMs = analyzer.loadMs(name);
      if (loadMs !== undefined) metrics.modelLoadSeconds.set(labels, loadMs / 1000);
      metrics.modelInfo.set({ ...labels, digest }, 1);
    }
    reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}
