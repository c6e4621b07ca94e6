/** The OpenAPI document and a page that shows it; both work without a network. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { AccessConfig } from '../../config/access.ts';
import { serviceError } from '../../errors.ts';
import type { DocumentedRoute } from '../route-table.ts';
import { serviceVersion } from '../version.ts';

const tags = ['documentation'];
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Deepfake detection</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
const startScript = "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#page' });\n";
/** Swagger UI sets styles on its elements. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

const assets: Readonly<Record<string, { readonly type: string; readonly read: () => Promise<string> }>> = {
  'swagger-ui.css': { type: 'text/css', read: () => readAsset('swagger-ui.css') },
  'swagger-ui-bundle.js': { type: 'text/javascript', read: () => readAsset('swagger-ui-bundle.js') },
  'start.js': { type: 'text/javascript', read: async () => startScript },
};

/** @param routes all that the document describes; looked at when it is asked for first */
export function docsRoutes(
  app: FastifyInstance,
  routes: readonly DocumentedRoute[],
  access: AccessConfig,
): void {
  let document: string | undefined;

  app.get(
    '/openapi.json',
    {
      schema: {
        summary: 'This document',
        tags,
        response: { 200: z.looseObject({ openapi: z.literal('3.1.0') }) },
      },
    },
    async (_request, reply) => {
      document ??= await makeDocument(routes, access);
      return reply.type('application/json').send(document);
    },
  );

  app.get(
    '/docs',
    {
      schema: {
        summary: 'This document as a page',
        tags,
        response: { 200: z.string().meta({ contentMediaType: 'text/html' }) },
      },
    },
    async (_request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', contentSecurityPolicy)
        .send(page),
  );

  const params = z.object({ asset: z.string() });
  app.get<{ Params: z.infer<typeof params> }>(
    '/docs/:asset',
    {
      config: { failsWith: ['not_found'] },
      schema: {
        summary: 'Parts of the page',
        tags,
        params,
        response: { 200: z.string().meta({ contentMediaType: 'text/*' }) },
      },
    },
    async ({ method, params: { asset: name } }, reply) => {
      const asset = Object.hasOwn(assets, name) ? assets[name] : undefined;
      if (asset === undefined) throw serviceError('not_found', { method, path: `/docs/${name}` });
      return reply.type(`${asset.type}; charset=utf-8`).send(await asset.read());
    },
  );
}

async function makeDocument(routes: readonly DocumentedRoute[], access: AccessConfig): Promise<string> {
  const { openApiDocument } = await import('../openapi.ts');
  return JSON.stringify(openApiDocument(routes, serviceVersion, access));
}

function readAsset(name: string): Promise<string> {
  const path = import.meta.resolve(`@fastify/swagger-ui/static/${name}`);
  return readFile(fileURLToPath(path), 'utf8');
}
