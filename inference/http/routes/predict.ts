/** `POST /predict` and its kin: short answers, in the words of whoever asks. The body chooses the words. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { detectEach, type Outcome } from '../batch.ts';
import { fileField, maxBatchFiles, modelField, withFile, withFiles } from '../form-media.ts';
import { isJson, leaveJsonUnread, mediaBody, sourceOf, withJsonMedia } from '../json-media.ts';
import { envelopeBytes } from '../reception.ts';
import type { RouteDependencies } from '../server.ts';
import {
  batchItemView,
  comparisonAnswer,
  comparisonView,
  failedBatchItemView,
  predictionAnswer,
  predictionBatchAnswer,
  predictionView,
} from '../views/predictions.ts';
import { probabilitiesAnswer, probabilitiesView, votesAnswer, votesView } from '../views/probabilities.ts';

const tags = ['prediction'];
const fields = z.object({ model: modelField });
/** Clients of these routes are told of a wrong type with 400. */
const errors = { statuses: { unsupported_media: 400 } } as const;

export function predictionRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const { config, detections, analyzer } = dependencies;
  const bodyLimit = config.maxUploadBytes + envelopeBytes;
  const multipart = fields.extend({ file: fileField });
  const fileIntake = { fileFields: ['file'], fields } as const;

  app.register(async (scope) => {
    leaveJsonUnread(scope);
    for (const path of ['/predict', '/v1/predict']) {
      scope.post(
        path,
        {
          bodyLimit,
          config: { scope: 'predict', errors, multipart, json: mediaBody },
          schema: {
            summary: 'Judge one file',
            description:
              'A form with a file is answered in the words real and ai_generated; JSON with a URL with two probabilities; JSON with base64 with a vote beside them.',
            tags,
            response: { 200: z.union([predictionAnswer, votesAnswer, probabilitiesAnswer]) },
          },
        },
        (request, reply) =>
          isJson(request) ? predictFromJson(request, reply) : predictFromForm(request, reply),
      );
    }
  });

  app.post(
    '/infer',
    {
      bodyLimit,
      config: { scope: 'predict', errors, multipart },
      schema: { summary: 'The two probabilities of one file', tags, response: { 200: probabilitiesAnswer } },
    },
    (request, reply) =>
      withFile(dependencies, request, reply, fileIntake, async ({ exchange, media, fields: { model } }) =>
        probabilitiesView(await detections.detect(exchange, { media, model }), request.id),
      ),
  );

  for (const path of ['/predict/batch', '/v1/predict/batch']) {
    app.post(
      path,
      {
        bodyLimit: maxBatchFiles * config.maxUploadBytes + envelopeBytes,
        config: {
          scope: 'batch',
          errors,
          multipart: fields.extend({ files: z.array(fileField).min(1).max(maxBatchFiles) }),
        },
        schema: {
          summary: 'Judge several files, each of which may fail alone',
          tags,
          response: { 200: predictionBatchAnswer },
        },
      },
      predictBatch,
    );
  }

  const querystring = z.object({
    shadow: z.string().min(1).describe('Serving name of the model to compare with.'),
  });
  for (const path of ['/predict/compare', '/v1/predict/compare']) {
    app.post<{ Querystring: z.infer<typeof querystring> }>(
      path,
      {
        bodyLimit,
        config: { scope: 'predict', errors, multipart },
        schema: {
          summary: 'Judge one file with two models',
          tags,
          querystring,
          response: { 200: comparisonAnswer },
        },
      },
      (request, reply) =>
        withFile(dependencies, request, reply, fileIntake, async ({ exchange, media, fields: { model } }) => {
          const primary = await detections.detect(exchange, { media, model });
          const shadow = await detections.detect(exchange, { media, model: request.query.shadow });
          return comparisonView(primary, shadow, request.id);
        }),
    );
  }

  function predictFromForm(request: FastifyRequest, reply: FastifyReply) {
    return withFile(
      dependencies,
      request,
      reply,
      fileIntake,
      async ({ exchange, media, fields: { model } }) =>
        predictionView(await detections.detect(exchange, { media, model }), request.id),
    );
  }

  function predictFromJson(request: FastifyRequest, reply: FastifyReply) {
    const intake = { body: mediaBody, source: sourceOf };
    return withJsonMedia(
      dependencies,
      request,
      reply,
      intake,
      async ({ exchange, media, wanted, fromUrl }) => {
        const detection = await detections.detect(exchange, { media, ...wanted });
        return fromUrl ? probabilitiesView(detection, request.id) : votesView(detection, request.id);
      },
    );
  }

  function predictBatch(request: FastifyRequest, reply: FastifyReply) {
    const intake = { fileFields: ['files', 'file'], fields } as const;
    return withFiles(dependencies, request, reply, intake, async ({ exchange, media, fields: { model } }) => {
      const parallel = analyzer.capacity;
      const outcomes = await detectEach(detections, exchange, media, { model, parallel });
      return batchView(outcomes, performance.now() - exchange.startedAt, request.id);
    });
  }
}

function batchView(
  outcomes: readonly Outcome[],
  totalMs: number,
  requestId: string,
): z.infer<typeof predictionBatchAnswer> {
  const detected = outcomes.flatMap((outcome) => ('detection' in outcome ? [outcome.detection] : []));
  const versions = new Set(detected.map(({ model }) => model.manifest.version));
  const [version = null] = versions;
  return {
    results: outcomes.map((outcome) =>
      'detection' in outcome
        ? batchItemView(outcome.filename, outcome.detection)
        : failedBatchItemView(outcome.filename, outcome.error.message),
    ),
    total: outcomes.length,
    successful: detected.length,
    failed: outcomes.length - detected.length,
    total_inference_time_ms: Math.round(totalMs),
    model_version: versions.size === 1 ? version : null,
    request_id: requestId,
  };
}
