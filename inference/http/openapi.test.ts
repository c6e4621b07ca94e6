import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { send, withTestServer } from '../testing/server.ts';

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly security: readonly Record<string, readonly string[]>[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: object }>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content: Readonly<Record<string, object>> }>
  >;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

describe('the OpenAPI document', () => {
  let document: Document;
  let operations: readonly (Operation & { readonly path: string })[];
  before(() =>
    withTestServer(async (server) => {
      document = (await (await send(server, '/openapi.json')).json()) as Document;
      operations = Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.values(methods).map((operation) => ({ path, ...operation })),
      );
    }),
  );

  test('has every route', () => {
    const expected = ['/', '/analyze', '/analyze/batch', '/analyze/visualization/{filename}', '/explain'];
    const more = [
      '/health/ready',
      '/infer',
      '/metrics',
      '/models',
      '/predict',
      '/v1/detections',
      '/v1/models/{name}',
    ];
    for (const path of [...expected, ...more, '/docs', '/openapi.json']) assert(path in document.paths, path);
    assert.equal(document.openapi, '3.1.0');
  });

  test('names every operation once and says what it is for', () => {
    const ids = operations.map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { operationId, summary } of operations) assert(summary, operationId);
  });

  test('declares every parameter of a path', () => {
    for (const { path, parameters } of operations) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path');
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      assert.deepEqual(
        inPath.map(({ name }) => name),
        names,
        path,
      );
      assert(
        inPath.every(({ required }) => required),
        path,
      );
    }
  });

  test('describes an answer and the errors of every operation', () => {
    for (const { path, responses, security } of operations) {
      assert('200' in responses, path);
      assert('default' in responses, path);
      assert.equal('401' in responses, security.length > 0, path);
    }
  });

  test('points only to what it holds', () => {
    for (const [, pointer = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(.*?)"/g)) {
      const [group = '', name = ''] = pointer.split('/');
      assert(document.components[group]?.[name], pointer);
    }
  });

  test('gives the status that a route really answers', () => {
    const { responses } = document.paths['/predict']?.['post'] ?? assert.fail();
    assert.match(responses['400']?.description ?? '', /unsupported_media/);
    assert.match(
      document.paths['/analyze']?.['post']?.responses['415']?.description ?? '',
      /unsupported_media/,
    );
  });

  test('asks for a body where a route does, and not where its clients send none', () => {
    const optional = operations.filter(({ requestBody }) => requestBody?.required === false);
    assert.deepEqual(optional.map(({ path }) => path).sort(), [
      '/v2/repository/index',
      '/v2/repository/models/{model}/load',
      '/v2/repository/models/{model}/unload',
    ]);
  });

  test('tells of both bodies of a route', () => {
    const { requestBody } = document.paths['/v1/detections']?.['post'] ?? assert.fail();
    assert.deepEqual(Object.keys(requestBody?.content ?? {}), ['multipart/form-data', 'application/json']);
  });
});

describe('/docs', () => {
  test('needs nothing from elsewhere and no script in the page', () =>
    withTestServer(async (server) => {
      const response = await send(server, '/docs');
      const page = await response.text();
      assert.match(
        response.headers.get('content-security-policy') ?? '',
        /default-src 'none'; script-src 'self'/,
      );
      const references = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, reference = '']) => reference);
      assert.doesNotMatch(page, /<script>/);
      for (const reference of references.filter((one) => !one.startsWith('data:'))) {
        assert.match(reference, /^\/docs\//);
        assert.equal((await send(server, reference)).status, 200, reference);
      }
    }));

  test('holds nothing but its own parts', () =>
    withTestServer(async (server) => {
      for (const name of ['index.html', '..%2fpackage.json', 'constructor', '__proto__'])
        assert.equal((await send(server, `/docs/${name}`)).status, 404, name);
    }));
});
