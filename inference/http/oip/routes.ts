/** The Open Inference Protocol, version 2, over REST. Its bodies are read as bytes, whatever type they claim: clients differ. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { RouteDependencies } from '../server.ts';
import { BodyMemory } from './body-memory.ts';
import { inferenceRoutes } from './inference-routes.ts';
import { metadataRoutes } from './metadata-routes.ts';
import { repositoryRoutes } from './repository-routes.ts';
import { headerLengthHeader, splitBody } from './tensor-binary.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What follows the JSON of a body. */
    binaryData: Uint8Array<ArrayBuffer>;
  }
}

export function inferenceProtocolRoutes(app: FastifyInstance, dependencies: RouteDependencies): void {
  const bodyLimit = dependencies.config.maxTensorBytes;
  void app.register(async (scoped) => {
    const memory = new BodyMemory(bodyLimit);
    scoped.decorateRequest('binaryData');
    scoped.removeAllContentTypeParsers();
    scoped.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, takeBody);
    scoped.addHook('onRequest', async (request, reply) => {
      if (request.method === 'POST') memory.hold(request, reply);
    });
    for (const addRoutes of [metadataRoutes, inferenceRoutes, repositoryRoutes])
      addRoutes(scoped, dependencies, bodyLimit);
  });
}

/** The JSON becomes the body, so that it is validated like any other. */
async function takeBody(request: FastifyRequest, body: Buffer<ArrayBuffer>): Promise<unknown> {
  const header = request.headers[headerLengthHeader];
  const { json, binary } = splitBody(body, Array.isArray(header) ? header[0] : header);
  request.binaryData = binary;
  return json;
}
