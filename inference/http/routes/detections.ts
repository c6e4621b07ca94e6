/** `POST /v1/detections`: one file, sent or named by its URL, with the whole detection as the answer. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Detection } from '../detections.ts';
import { fileField, modelField, optionalText, perturbField, withFile } from '../form-media.ts';
import { isJson, leaveJsonUnread, linkedMediaBody, withJsonMedia } from '../json-media.ts';
import { modelsField, selectionQuery, wantedOf } from '../model-selection.ts';
import { envelopeBytes } from '../reception.ts';
import type { RouteDependencies } from '../server.ts';
import { detectionAnswer, detectionView } from '../views/detection.ts';

const fields = z.object({
  model: modelField,
  models: modelsField,
  media_id: optionalText,
  user_id: optionalText,
  perturb: perturbField,
});
type Query = { Querystring: z.infer<typeof selectionQuery> };
const formIntake = { fileFields: ['media', 'file'], fields } as const;
const jsonIntake = {
  body: linkedMediaBody,
  source: ({ url, model, models, perturb }: z.infer<typeof linkedMediaBody>) => ({
    model,
    models,
    extras: { perturb },
    from: { url },
  }),
};

export function detectionRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const { config, detections } = dependencies;
  const forensics = config.forensics ? true : undefined;
  const viewFor = (request: Pick<FastifyRequest, 'id'>, detection: Detection) =>
    detectionView(detection, {
      requestId: request.id,
      now: new Date(),
      device: config.device,
      servedBy: config.servedBy,
    });

  app.register(async (scope) => {
    leaveJsonUnread(scope);
    scope.post<Query>(
      '/v1/detections',
      {
        bodyLimit: config.maxUploadBytes + envelopeBytes,
        config: {
          scope: 'predict',
          multipart: fields.extend({ media: fileField }),
          json: linkedMediaBody,
        },
        schema: {
          summary: 'Judge one file, sent or named by its URL',
          description: 'With `models`, or the name of an ensemble, several models judge it at the same time.',
          tags: ['detection'],
          querystring: selectionQuery,
          response: { 200: detectionAnswer },
        },
      },
      (request, reply) =>
        isJson(request)
          ? withJsonMedia(
              dependencies,
              request,
              reply,
              jsonIntake,
              async ({ exchange, media, wanted, extras }) =>
                viewFor(
                  request,
                  await detections.detect(exchange, {
                    media,
                    extras: { ...extras, forensics },
                    ...wantedOf(wanted, request.query),
                  }),
                ),
            )
          : withFile(
              dependencies,
              request,
              reply,
              formIntake,
              async ({ exchange, media, fields: { media_id, user_id, perturb, ...wanted } }) =>
                viewFor(
                  request,
                  await detections.detect(exchange, {
                    media,
                    extras: { perturb, forensics },
                    mediaId: media_id,
                    userId: user_id,
                    ...wantedOf(wanted, request.query),
                  }),
                ),
            ),
    );
  });
}
