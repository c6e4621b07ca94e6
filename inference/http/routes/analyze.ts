/** `POST /analyze`: one file, one verdict, with everything that is known of it; as one answer, or as events while the analysis runs. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { beginExchange, invalidRequest, tellCache } from '../exchange.ts';
import { answerWithProgress } from '../progress-stream.ts';
import { envelopeBytes } from '../reception.ts';
import type { RouteDependencies } from '../server.ts';
import { analysisView } from '../views.ts';

/** An empty field counts as absent. */
const optionalText = z
  .string()
  .optional()
  .transform((text) => text || undefined);

const fieldsSchema = z.object({
  model: optionalText.describe(
    'Serving name; without it the default model, or the first that fits the media.',
  ),
  mediaId: optionalText.describe('Progress events carry it.'),
  media_id: optionalText,
  userId: optionalText,
  user_id: optionalText,
});

export function analyzeRoutes(app: FastifyInstance, { config, detections }: RouteDependencies): void {
  const bodyLimit = config.maxUploadBytes + envelopeBytes;
  const options = { bodyLimit, config: { scope: 'predict' } as const };

  app.post('/analyze', options, async (request, reply) => {
    detections.refuseEarly(request);
    const exchange = beginExchange(request, reply, { ...config, priority: 'interactive' });
    return detections.withMultipart(
      request,
      { fileFields: ['media'], maxFiles: 1 },
      async ({ media: [media], fields }) => {
        if (media === undefined) throw new Error('a reception has at least one file');
        const parsed = fieldsSchema.safeParse(Object.fromEntries(fields));
        if (!parsed.success) throw invalidRequest(parsed.error, 'field');
        const { model, mediaId, media_id, userId, user_id } = parsed.data;
        return answerWithProgress(request, reply, async (onProgress) => {
          const detection = await detections.detect(exchange, {
            media,
            model,
            mediaId: mediaId ?? media_id,
            userId: userId ?? user_id,
            onProgress,
            onCache: (result) => tellCache(reply, result),
          });
          const { servedBy, device } = config;
          return analysisView(detection, { requestId: request.id, now: new Date(), device, servedBy });
        });
      },
    );
  });
}
