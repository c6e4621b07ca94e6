/** `POST /analyze` and its kin: a verdict with everything that is known of it; as one answer, or as events while the analysis runs. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { serviceError } from '../../errors.ts';
import { detectEach, type Outcome } from '../batch.ts';
import type { Detection } from '../detections.ts';
import type { Exchange } from '../exchange.ts';
import { overlayOf } from '../explanation-image.ts';
import {
  fileField,
  maxBatchFiles,
  modelField,
  optionalText,
  perturbField,
  withFile,
  withFiles,
} from '../form-media.ts';
import { answerWithProgress } from '../progress-stream.ts';
import { envelopeBytes } from '../reception.ts';
import type { RouteDependencies } from '../server.ts';
import { analysisAnswer, analysisBatchAnswer, analysisView, failureView } from '../views/analysis.ts';
import { type AnswerContext, heatmapOf } from '../views/parts.ts';
import { keptSeconds, Visualizations } from '../visualizations.ts';

const tags = ['analysis'];
const png = z.file().mime('image/png');

const fields = z.object({
  model: modelField,
  mediaId: optionalText.describe('Progress events carry it.'),
  media_id: optionalText,
  userId: optionalText,
  user_id: optionalText,
  perturb: perturbField,
  visualization: z
    .enum(['true', 'false', ''])
    .optional()
    .describe(
      'true: the answer says where the heat map over the image can be fetched, or has the spectrogram of the sound.',
    ),
});

export function analyzeRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const { config, detections, analyzer, spool } = dependencies;
  const visualizations = new Visualizations(spool);
  const forensics = config.forensics ? true : undefined;
  const contextOf = (request: FastifyRequest): AnswerContext => ({
    requestId: request.id,
    now: new Date(),
    device: config.device,
    servedBy: config.servedBy,
  });

  app.post(
    '/analyze',
    {
      bodyLimit: config.maxUploadBytes + envelopeBytes,
      config: { scope: 'predict', multipart: fields.extend({ media: fileField }) },
      schema: {
        summary: 'Analyse one file',
        description:
          'With `Accept: text/event-stream` the answer is a stream: events called progress, and at last result with the answer, or error.',
        tags,
        response: { 200: analysisAnswer },
      },
    },
    (request, reply) =>
      withFile(
        dependencies,
        request,
        reply,
        { fileFields: ['media'], fields },
        ({ exchange, media, fields: given }) =>
          answerWithProgress(request, reply, async (onProgress) => {
            const detection = await detections.detect(exchange, {
              media,
              model: given.model,
              extras: { perturb: given.perturb, forensics },
              mediaId: given.mediaId ?? given.media_id,
              userId: given.userId ?? given.user_id,
              onProgress,
            });
            const visualization =
              given.visualization === 'true' ? await visualize(request, detection, exchange) : undefined;
            return analysisView(detection, contextOf(request), visualization);
          }),
      ),
  );

  const batchFields = fields.pick({ model: true });
  app.post(
    '/analyze/batch',
    {
      bodyLimit: maxBatchFiles * config.maxUploadBytes + envelopeBytes,
      config: {
        scope: 'batch',
        multipart: batchFields.extend({ media: z.array(fileField).min(1).max(maxBatchFiles) }),
      },
      schema: {
        summary: 'Analyse several files, each of which may fail alone',
        tags,
        response: { 200: analysisBatchAnswer },
      },
    },
    (request, reply) =>
      withFiles(
        dependencies,
        request,
        reply,
        { fileFields: ['media'], fields: batchFields },
        async ({ exchange, media, fields: { model } }) => {
          const outcomes = await detectEach(detections, exchange, media, {
            model,
            extras: { forensics },
            parallel: analyzer.capacity,
          });
          return batchView(outcomes, contextOf(request));
        },
      ),
  );

  const params = z.object({ filename: z.string() });
  app.get<{ Params: z.infer<typeof params> }>(
    '/analyze/visualization/:filename',
    {
      config: { scope: 'predict', failsWith: ['unknown_visualization'] },
      schema: {
        summary: 'A rendered heat map, once: it is gone afterwards',
        tags,
        params,
        response: { 200: png },
      },
    },
    async ({ params: { filename } }, reply) => {
      const image = await visualizations.take(filename);
      if (image === undefined) throw serviceError('unknown_visualization', { keptSeconds });
      return reply.type('image/png').header('cache-control', 'no-store').send(image);
    },
  );

  async function visualize(
    { protocol, host }: FastifyRequest,
    detection: Detection,
    { clientGone }: Exchange,
  ): Promise<string | null> {
    if (heatmapOf(detection.analysis) === undefined) return null;
    const name = await visualizations.keep(await overlayOf(detection, { signal: clientGone }), clientGone);
    return `${protocol}://${host}/analyze/visualization/${name}`;
  }
}

function batchView(
  outcomes: readonly Outcome[],
  context: AnswerContext,
): z.infer<typeof analysisBatchAnswer> {
  const successful = outcomes.filter((outcome) => 'detection' in outcome).length;
  return {
    success: true,
    timestamp: context.now.toISOString(),
    total: outcomes.length,
    successful,
    failed: outcomes.length - successful,
    results: outcomes.map((outcome) => ({
      filename: outcome.filename,
      ...('detection' in outcome ? analysisView(outcome.detection, context) : failureView(outcome.error)),
    })),
    request_id: context.requestId,
  };
}
