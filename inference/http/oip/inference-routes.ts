/** `…/infer`: tensors in, tensors out. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { inferenceProtocolErrors } from '../error-view.ts';
import { beginExchange } from '../exchange.ts';
import type { RouteDependencies } from '../server.ts';
import {
  type InferenceRequest,
  inferenceAnswer,
  inferenceRequest,
  modelPath,
  versionPath,
} from './messages.ts';
import { type ProtocolModel, refuseMisfits, refuseUnknownOutputs } from './model.ts';
import { findModel } from './models.ts';
import { headerLengthHeader } from './tensor-binary.ts';
import { readInputs } from './tensors-in.ts';
import { writeAnswer } from './tensors-out.ts';

const summary = 'What a model says about tensors, or about a file in a tensor';

export function inferenceRoutes(
  app: FastifyInstance,
  dependencies: RouteDependencies,
  bodyLimit: number,
): void {
  const { analyzer, config } = dependencies;
  const options = {
    bodyLimit,
    config: {
      scope: 'predict',
      errors: inferenceProtocolErrors,
      answerHeaders: [headerLengthHeader],
    } as const,
    onRequest: async () => analyzer.refuseWhenBusy(),
  };
  const schema = {
    summary,
    tags: ['inference protocol'],
    body: inferenceRequest,
    response: { 200: inferenceAnswer },
  };

  app.post<{ Params: { model: string }; Body: InferenceRequest }>(
    '/v2/models/:model/infer',
    { ...options, schema: { ...schema, params: modelPath } },
    (request, reply) => infer(request, reply, findModel(dependencies, request.params.model, undefined)),
  );

  app.post<{ Params: { model: string; version: string }; Body: InferenceRequest }>(
    '/v2/models/:model/versions/:version/infer',
    { ...options, schema: { ...schema, params: versionPath } },
    (request, reply) =>
      infer(request, reply, findModel(dependencies, request.params.model, request.params.version)),
  );

  async function infer(
    request: FastifyRequest<{ Body: InferenceRequest }>,
    reply: FastifyReply,
    model: ProtocolModel,
  ) {
    const { inputs, outputs, parameters } = request.body;
    const names = outputs === undefined || outputs.length === 0 ? model.outputs : outputs;
    const wanted = names.map(({ name }) => name);
    refuseMisfits(model, inputs);
    refuseUnknownOutputs(model, wanted);
    const exchange = beginExchange(request, reply, { ...config, priority: 'interactive' });
    const timeoutMs = (parameters?.timeout ?? Infinity) / 1000;
    const bounded = { ...exchange, limitMs: Math.min(exchange.limitMs, timeoutMs) };
    const tensors = await model.infer(bounded, readInputs(inputs, request.binaryData), wanted);
    const { body, headerLength } = writeAnswer(model, request.body, tensors);
    if (headerLength === undefined) return reply.type('application/json').send(body);
    return reply.type('application/octet-stream').header(headerLengthHeader, headerLength).send(body);
  }
}
