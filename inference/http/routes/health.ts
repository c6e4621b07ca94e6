/** Probes. None needs a key. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ServerDependencies } from '../dependencies.ts';
import { healthAnswer, healthView, readinessAnswer, readinessView } from '../views/health.ts';

const tags = ['health'];

export function healthRoutes(app: FastifyInstance, { analyzer, isDraining }: ServerDependencies): void {
  const notReadyReason = () => (isDraining() ? 'the server is shutting down' : analyzer.notReadyReason());

  const alive = z.strictObject({ status: z.literal('alive') });
  app.get(
    '/health/live',
    { schema: { summary: 'Whether the process answers', tags, response: { 200: alive } } },
    async (): Promise<z.infer<typeof alive>> => ({ status: 'alive' }),
  );

  app.get(
    '/health/ready',
    {
      schema: {
        summary: 'Whether requests should come here',
        tags,
        response: { 200: readinessAnswer, 503: readinessAnswer },
      },
    },
    async (_request, reply) => {
      const reason = notReadyReason();
      reply.code(reason === undefined ? 200 : 503);
      return readinessView(analyzer, reason);
    },
  );

  app.get(
    '/health',
    { schema: { summary: 'The state in one answer, always 200', tags, response: { 200: healthAnswer } } },
    async () => healthView(analyzer, notReadyReason() === undefined),
  );

  const ok = z.strictObject({ status: z.literal('ok') });
  app.get(
    '/v1/health',
    { schema: { summary: 'Whether the process answers', tags, response: { 200: ok } } },
    async (): Promise<z.infer<typeof ok>> => ({ status: 'ok' }),
  );

  const pong = z.strictObject({ status: z.literal('pong') });
  app.get(
    '/ping',
    { schema: { summary: 'Whether the process answers', tags, response: { 200: pong } } },
    async (): Promise<z.infer<typeof pong>> => ({ status: 'pong' }),
  );
}
