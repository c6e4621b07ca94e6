/** `POST /explain` and its kin: where in the image the model found what it judged. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { defaultAlpha, overlayOf } from '../explanation-image.ts';
import { fileField, modelField, withFile } from '../form-media.ts';
import { envelopeBytes } from '../reception.ts';
import type { RouteDependencies } from '../server.ts';
import { explainedPredictionAnswer, predictionView } from '../views/predictions.ts';

const tags = ['explanation'];
const fields = z.object({ model: modelField });
const errors = { statuses: { unsupported_media: 400 } } as const;
const querystring = z.object({
  alpha: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(defaultAlpha)
    .describe('How much of the heat map covers the image.'),
});
type Query = { Querystring: z.infer<typeof querystring> };

export function explanationRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const { config, detections } = dependencies;
  const options = {
    bodyLimit: config.maxUploadBytes + envelopeBytes,
    config: {
      scope: 'explain',
      errors,
      multipart: fields.extend({ file: fileField }),
      failsWith: ['no_heatmap'],
    },
  } as const;
  const intake = { fileFields: ['file'], fields } as const;

  for (const path of ['/explain', '/v1/explain']) {
    app.post<Query>(
      path,
      {
        ...options,
        config: {
          ...options.config,
          answerHeaders: ['x-prediction-probability', 'x-prediction-class'],
        },
        schema: {
          summary: 'The heat map over the image',
          description: 'The headers X-Prediction-Probability and X-Prediction-Class hold the prediction.',
          tags,
          querystring,
          response: { 200: z.file().mime('image/png') },
        },
      },
      (request, reply) =>
        withFile(dependencies, request, reply, intake, async ({ exchange, media, fields: { model } }) => {
          const detection = await detections.detect(exchange, { media, model });
          const { alpha } = request.query;
          const image = await overlayOf(detection, { alpha, signal: exchange.clientGone });
          const { probability, prediction } = predictionView(detection, request.id);
          return reply
            .type('image/png')
            .header('x-prediction-probability', String(probability))
            .header('x-prediction-class', String(prediction))
            .send(image);
        }),
    );
  }

  for (const path of ['/predict/explain', '/v1/predict/explain']) {
    app.post<Query>(
      path,
      {
        ...options,
        schema: {
          summary: 'A prediction with the heat map over the image',
          tags,
          querystring,
          response: { 200: explainedPredictionAnswer },
        },
      },
      (request, reply) =>
        withFile(
          dependencies,
          request,
          reply,
          intake,
          async ({
            exchange,
            media,
            fields: { model },
          }): Promise<z.infer<typeof explainedPredictionAnswer>> => {
            const detection = await detections.detect(exchange, { media, model });
            const { alpha } = request.query;
            const image = await overlayOf(detection, { alpha, signal: exchange.clientGone });
            return { ...predictionView(detection, request.id), heatmap_base64: image.toString('base64') };
          },
        ),
    );
  }
}
