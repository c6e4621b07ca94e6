/** What the server and its models are, whether they are ready, and what they did. */
import type { FastifyInstance } from 'fastify';
import { inferenceProtocolErrors } from '../error-view.ts';
import type { RouteDependencies } from '../server.ts';
import { serviceVersion } from '../version.ts';
import { datatypeOf } from './datatypes.ts';
import {
  modelMetadata,
  modelPath,
  modelReady,
  serverLive,
  serverMetadata,
  serverReady,
  statisticsAnswer,
  versionPath,
} from './messages.ts';
import type { ProtocolModel } from './model.ts';
import { modelReadings } from './model-readings.ts';
import { findModel } from './models.ts';
import { statisticsView } from './statistics-view.ts';

const extensions = ['binary_tensor_data', 'model_repository', 'statistics'];
/** The protocol answers with a status of the 400 class where something is not ready. */
const notReadyStatus = 400;
const open = { errors: inferenceProtocolErrors } as const;
const read = { scope: 'read', errors: inferenceProtocolErrors } as const;
const tags = ['inference protocol'];

type ModelParams = { Params: { model: string; version?: string } };

export function metadataRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const { analyzer, statistics, isDraining } = dependencies;
  const isReady = () => !isDraining() && analyzer.notReadyReason() === undefined;

  app.get(
    '/v2',
    {
      config: read,
      schema: { summary: 'The server and its extensions', tags, response: { 200: serverMetadata } },
    },
    async () => ({ name: 'deepfake-operator', version: serviceVersion, extensions }),
  );

  app.get(
    '/v2/health/live',
    { config: open, schema: { summary: 'Whether the process answers', tags, response: { 200: serverLive } } },
    async () => ({ live: true }),
  );

  app.get(
    '/v2/health/ready',
    {
      config: open,
      schema: {
        summary: 'Whether requests should come here',
        tags,
        response: { 200: serverReady, [notReadyStatus]: serverReady },
      },
    },
    async (_request, reply) => {
      reply.code(isReady() ? 200 : notReadyStatus);
      return { ready: isReady() };
    },
  );

  app.get(
    '/v2/models/stats',
    {
      config: read,
      schema: { summary: 'What all models did', tags, response: { 200: statisticsAnswer } },
    },
    async () => statisticsView(modelReadings(analyzer, statistics)),
  );

  for (const { path, params } of [
    { path: '/v2/models/:model', params: modelPath },
    { path: '/v2/models/:model/versions/:version', params: versionPath },
  ]) {
    app.get<ModelParams>(
      path,
      {
        config: read,
        schema: { summary: 'What a model takes and gives', tags, params, response: { 200: modelMetadata } },
      },
      async (request) => metadataView(modelOf(request.params)),
    );

    app.get<ModelParams>(
      `${path}/ready`,
      {
        config: read,
        schema: {
          summary: 'Whether a model answers requests',
          tags,
          params,
          response: { 200: modelReady, [notReadyStatus]: modelReady },
        },
      },
      async (request, reply) => {
        const { name } = modelOf(request.params);
        reply.code(isReady() ? 200 : notReadyStatus);
        return { name, ready: isReady() };
      },
    );

    app.get<ModelParams>(
      `${path}/stats`,
      {
        config: read,
        schema: { summary: 'What a model did', tags, params, response: { 200: statisticsAnswer } },
      },
      async (request) => {
        const { name } = modelOf(request.params);
        return statisticsView(modelReadings(analyzer, statistics).filter(({ model }) => model === name));
      },
    );
  }

  function modelOf({ model, version }: ModelParams['Params']): ProtocolModel {
    return findModel(dependencies, model, version);
  }
}

function metadataView({ name, version, platform, inputs, outputs }: ProtocolModel) {
  const view = (tensors: ProtocolModel['inputs']) =>
    tensors.map((tensor) => ({ name: tensor.name, datatype: datatypeOf(tensor.type), shape: tensor.shape }));
  return { name, versions: [version], platform, inputs: view(inputs), outputs: view(outputs) };
}
