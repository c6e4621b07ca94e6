/** `GET /progress/{mediaId}`: what happens to a media, wherever it is analysed, as server-sent events. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Followers } from '../progress-stream.ts';
import type { RouteDependencies } from '../server.ts';

const paramsSchema = z.object({
  mediaId: z.string().min(1).max(256).describe('As sent with the analysis, in mediaId.'),
});
const headersSchema = z.looseObject({
  'last-event-id': z.string().max(128).optional().describe('The last event that the client has.'),
});

/** As readers of streams see it: one event. */
const eventSchema = z
  .object({
    event: z.literal('progress'),
    id: z.string().describe('Sent again as Last-Event-ID, it is where the stream goes on.'),
    data: z.string().meta({ contentMediaType: 'application/json' }),
  })
  .meta({ contentMediaType: 'text/event-stream' })
  .describe('A stream of events called progress, each with one step or the end of an analysis as JSON.');

export function progressRoutes(app: FastifyInstance, { config, metrics, progress }: RouteDependencies): void {
  const followers = new Followers({
    bus: progress,
    maxStreams: config.maxProgressStreams,
    limitMs: config.progressStreamTimeoutMs,
    onCount: (count) => metrics.progressStreams.set(count),
  });
  app.addHook('preClose', async () => followers.close());
  const schema = {
    summary: 'Follow the analyses of a media by server-sent events',
    tags: ['progress'],
    params: paramsSchema,
    headers: headersSchema,
    response: {
      200: eventSchema,
      204: z.null().describe('Nothing follows the last event that the client has.'),
    },
  };

  app.get(
    '/progress/:mediaId',
    { config: { scope: 'read', failsWith: ['too_many_streams'] }, schema },
    (request, reply) => {
      const { mediaId } = request.params as z.infer<typeof paramsSchema>;
      const { 'last-event-id': lastId } = request.headers as z.infer<typeof headersSchema>;
      // Browsers come back after every end; this status tells them to stay away.
      if (lastId !== undefined && progress.isOver(mediaId, lastId)) return reply.code(204).send();
      followers.follow(reply, mediaId, lastId);
      return reply;
    },
  );
}
