/** The OpenAPI 3.1 document, made from the schemas with which the routes validate and answer. */
import { z } from 'zod';
import { type AccessConfig, mayLimit } from '../config/access.ts';
import { isLimited } from '../config/scopes.ts';
import { type ErrorCode, statusOf } from '../errors.ts';
import { type AnswerHeader, answerHeaders } from './answer-headers.ts';
import { exchangeHeaders } from './exchange.ts';
import { accessErrors, security, securitySchemes } from './openapi-access.ts';
import type { DocumentedRoute } from './route-table.ts';

type Json = Record<string, unknown>;

/** What any route that takes media may answer. */
const mediaErrors: readonly ErrorCode[] = [
  'malformed_body',
  'not_multipart',
  'invalid_request',
  'missing_media',
  'empty_media',
  'too_many_files',
  'upload_timeout',
  'upload_too_large',
  'image_too_large',
  'unsupported_content_type',
  'unsupported_media',
  'corrupt_media',
  'unknown_model',
  'wrong_modality',
  'no_model_for_media',
  'worker_lost',
  'not_ready',
  'queue_full',
  'storage_failed',
  'deadline_exceeded',
];
const urlErrors: readonly ErrorCode[] = ['url_refused', 'fetch_failed', 'fetch_timeout'];

/** Every error outside the inference protocol. */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    error: z.string().describe('The code: stable, for programs.'),
    message: z.string(),
    details: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    request_id: z.string(),
    status_code: z.int(),
  })
  .describe('RFC 9457, with the names that clients of older detectors read.');

const protocolError = z.object({ error: z.string() });

/** @param access what this server asks of its clients: another one may ask for less */
export function openApiDocument(
  routes: readonly DocumentedRoute[],
  version: string,
  access: AccessConfig,
): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, access) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Deepfake detection',
      version,
      description:
        'A file in, a calibrated verdict out. A file that cannot be judged has no score and says why.',
    },
    paths,
    components: {
      securitySchemes: securitySchemes(access),
      schemas: { Problem: jsonSchema(problem, 'output'), ProtocolError: jsonSchema(protocolError, 'output') },
      headers: Object.fromEntries(
        Object.entries(answerHeaders).map(([name, { type, description }]) => [
          name,
          { description, schema: { type } },
        ]),
      ),
    },
  };
}

function operation(route: DocumentedRoute, access: AccessConfig): Json {
  const { schema = {}, config = {} } = route;
  const body = requestBody(route);
  const analyses = body !== undefined && isAnalysing(route);
  const headersOf = (status: number | 'default') => headerNames(route, status, access);
  return {
    operationId: operationId(route),
    ...(schema.summary === undefined ? {} : { summary: schema.summary }),
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(schema.tags === undefined ? {} : { tags: schema.tags }),
    security: security(config.scope, access),
    parameters: [
      ...parameters(schema.params, 'path'),
      ...parameters(schema.querystring, 'query'),
      ...parameters(schema.headers, 'header'),
      ...(analyses ? parameters(exchangeHeaders, 'header') : []),
    ],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { ...errorResponses(route, access, headersOf), ...answers(schema.response, headersOf) },
  };
}

/** A repository takes bodies too, but analyses nothing that could be urgent or late. */
function isAnalysing({ method, config: { scope } = {} }: DocumentedRoute): boolean {
  return method === 'POST' && scope !== undefined && isLimited(scope);
}

type HeadersOf = (status: number | 'default') => readonly AnswerHeader[];

function headerNames(
  route: DocumentedRoute,
  status: number | 'default',
  access: AccessConfig,
): readonly AnswerHeader[] {
  const { scope, answerHeaders: own = [] } = route.config ?? {};
  const isAnswer = typeof status === 'number' && status < 300;
  const isRefused = status === 401 || status === 403;
  const isCounted = scope !== undefined && isLimited(scope) && mayLimit(access) && !isRefused;
  const saysWhen = status === 429 || status === 503 || status === 507;
  return [
    'x-request-id',
    ...(scope === undefined ? [] : (['traceresponse'] as const)),
    // The files of a batch come from several places.
    ...(isAnswer && isAnalysing(route) && scope !== 'batch' ? (['x-cache'] as const) : []),
    ...(isAnswer ? own : []),
    ...(isCounted ? (['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] as const) : []),
    ...(isRefused ? (['www-authenticate'] as const) : []),
    ...(saysWhen ? (['retry-after'] as const) : []),
  ];
}

function operationId({ method, url }: DocumentedRoute): string {
  const words = url.split(/\W+/).filter((word) => word !== '');
  const capitalised = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return `${method.toLowerCase()}${capitalised || 'Root'}`;
}

function requestBody({ config = {}, schema = {} }: DocumentedRoute): Json | undefined {
  const contents = {
    'multipart/form-data': config.multipart,
    'application/json': config.json ?? schema.body,
  };
  const bodies = Object.entries(contents).flatMap(([type, body]) =>
    body instanceof z.ZodType ? [{ type, body }] : [],
  );
  if (bodies.length === 0) return undefined;
  return {
    // What the schema takes in place of a body is what the route takes.
    required: bodies.every(({ body }) => !body.safeParse(undefined).success),
    content: Object.fromEntries(
      bodies.map(({ type, body }) => [type, { schema: jsonSchema(body, 'input') }]),
    ),
  };
}

function parameters(schema: unknown, place: 'path' | 'query' | 'header'): Json[] {
  if (!(schema instanceof z.ZodType)) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input');
  return Object.entries(properties as Record<string, Json>).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: (required as string[]).includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

function answers(responses: unknown, headersOf: HeadersOf): Json {
  if (typeof responses !== 'object' || responses === null) return {};
  return Object.fromEntries(
    Object.entries(responses).flatMap(([status, schema]) =>
      schema instanceof z.ZodType
        ? [[status, answer(jsonSchema(schema, 'output'), headersOf(Number(status)))]]
        : [],
    ),
  );
}

function answer(schema: Json, headers: readonly AnswerHeader[]): Json {
  const type = String(schema['contentMediaType'] ?? 'application/json');
  return response(String(schema['description'] ?? 'The answer.'), { [type]: { schema } }, headers);
}

function errorResponses(
  { schema = {}, config = {} }: DocumentedRoute,
  access: AccessConfig,
  headersOf: HeadersOf,
): Json {
  const { scope, errors = {}, failsWith = [] } = config;
  const takesMedia = config.multipart !== undefined || config.json !== undefined;
  const takesInput =
    schema.querystring !== undefined || schema.body !== undefined || schema.params !== undefined;
  const codes = new Set<ErrorCode>([
    ...accessErrors(scope, access),
    ...(takesMedia ? mediaErrors : []),
    ...(config.json === undefined ? [] : urlErrors),
    ...(takesInput ? (['invalid_request'] as const) : []),
    ...failsWith,
    'inference_failed',
  ]);
  const byStatus = Map.groupBy(codes, (code) => errors.statuses?.[code] ?? statusOf(code));
  const [type, name] =
    errors.body === 'inference-protocol'
      ? ['application/json', 'ProtocolError']
      : ['application/problem+json', 'Problem'];
  const content = { [type]: { schema: { $ref: `#/components/schemas/${name}` } } };
  return {
    ...Object.fromEntries(
      [...byStatus].map(([status, group]) => [
        String(status),
        response(group.join(', '), content, headersOf(status)),
      ]),
    ),
    default: response('Any other error.', content, headersOf('default')),
  };
}

function response(description: string, content: Json, headers: readonly AnswerHeader[]): Json {
  return {
    description,
    headers: Object.fromEntries(headers.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
    content,
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...document } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema: part }) => {
      // Lists are read-only to this program; that says nothing to a client.
      delete part.readOnly;
    },
  });
  return document;
}
