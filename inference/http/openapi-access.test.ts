import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConfig } from '../config/config.ts';
import { openApiDocument } from './openapi.ts';
import type { DocumentedRoute } from './route-table.ts';

const routes: readonly DocumentedRoute[] = [
  { method: 'GET', url: '/ping' },
  { method: 'GET', url: '/models', config: { scope: 'read' } },
  { method: 'POST', url: '/analyze', config: { scope: 'predict' } },
];
const token = { JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'deepfake' };

interface Operation {
  readonly security: readonly object[];
  readonly responses: Readonly<
    Record<string, { description: string; headers: Readonly<Record<string, object>> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
}

function documentWith(env: Readonly<Record<string, string>>): Document {
  const { access } = readConfig({ MODELS_DIR: import.meta.dirname, ...env });
  return openApiDocument(routes, '1', access) as unknown as Document;
}

/** Code and headers of every error of `POST /analyze` that the gate answers with. */
function refusals({ paths }: Document): Record<string, readonly [string, ...string[]]> {
  const { responses } = paths['/analyze']?.['post'] ?? assert.fail();
  return Object.fromEntries(
    Object.entries(responses)
      .filter(([status]) => ['401', '403', '429', '503'].includes(status))
      .map(([status, { description, headers }]) => [status, [description, ...Object.keys(headers)]]),
  );
}

const always = ['x-request-id', 'traceresponse'];
const limits = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'];
const unauthorized = ['unauthorized', ...always, 'www-authenticate'];
const forbidden = ['insufficient_scope', ...always, 'www-authenticate'];

const rows = [
  { name: 'no credentials', env: { AUTH_MODE: 'off' }, schemes: [], security: [], errors: {} },
  {
    name: 'no credentials, but limits',
    env: { AUTH_MODE: 'off', RATE_LIMIT_PREDICT: '1' },
    schemes: [],
    security: [],
    errors: { 429: ['rate_limited', ...always, ...limits, 'retry-after'] },
  },
  {
    name: 'keys',
    env: { API_KEY: 'k' },
    schemes: ['apiKey', 'bearer'],
    security: [{ apiKey: ['predict'] }, { bearer: ['predict'] }],
    errors: { 401: unauthorized, 403: forbidden },
  },
  {
    name: 'keys or nothing',
    env: { API_KEY: 'k', AUTH_MODE: 'optional' },
    schemes: ['apiKey', 'bearer'],
    security: [{ apiKey: ['predict'] }, { bearer: ['predict'] }, {}],
    errors: { 401: unauthorized, 403: forbidden },
  },
  {
    name: 'tokens whose keys are elsewhere',
    env: { ...token, JWT_JWKS_URL: 'https://id.example/keys' },
    schemes: ['apiKey', 'bearer'],
    security: [{ apiKey: ['predict'] }, { bearer: ['predict'] }],
    errors: {
      401: ['unauthorized, invalid_token', ...always, 'www-authenticate'],
      403: forbidden,
      503: ['token_keys_unavailable', ...always, 'retry-after'],
    },
  },
] as const;

describe('the OpenAPI document of a server that asks for', () => {
  for (const { name, env, schemes, security, errors } of rows) {
    test(`${name} says so, and what it refuses`, () => {
      const document = documentWith(env);
      assert.deepEqual(Object.keys(document.components.securitySchemes), schemes);
      assert.deepEqual(document.paths['/analyze']?.['post']?.security, security);
      assert.deepEqual(document.paths['/ping']?.['get']?.security, []);
      assert.deepEqual(refusals(document), errors);
    });
  }
});

test('a bearer is a JWT where tokens are read, and every scope is explained', () => {
  const bearer = (env: Readonly<Record<string, string>>) =>
    documentWith(env).components.securitySchemes['bearer'] ?? assert.fail();
  const { description = '', ...scheme } = bearer({ ...token, JWT_JWKS_URL: 'https://id.example/keys' });
  assert.deepEqual(scheme, { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' });
  for (const scope of ['predict', 'batch', 'explain', 'read', 'admin'])
    assert.match(description, new RegExp(`- \`${scope}\`: `));
  assert.equal('bearerFormat' in bearer({ API_KEY: 'k' }), false);
});
