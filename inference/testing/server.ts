/** A running server for tests of routes: a picture model, a sound model, and requests with the right key. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { z } from 'zod';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { inTemporaryFolder } from './media.ts';
import { writeAudioPackage, writeImagePackage } from './packages.ts';

export const testKey = 'right-key';

/**
 * Models are called `picture`, `second` (a picture model that never says FAKE) and `voice`.
 * @param pictureManifest merged over the top level of the manifest of `picture`
 */
export async function withTestServer<T>(
  action: (server: RunningServer) => Promise<T>,
  env: Readonly<Record<string, string>> = {},
  pictureManifest: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'), { manifest: pictureManifest });
    await writeImagePackage(join(folder, 'second'), {
      manifest: { thresholds: { low: 0.99, high: 0.995 } },
    });
    await writeAudioPackage(join(folder, 'voice'));
    const server = await startServer(
      readConfig({ PORT: '0', API_KEY: testKey, MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env }),
      createLogger('silent'),
    );
    try {
      await server.ready;
      return await action(server);
    } finally {
      await server.stop();
    }
  });
}

export type FormEntry = readonly [field: string, value: string | Uint8Array, fileName?: string];

export function form(...entries: readonly FormEntry[]): FormData {
  const data = new FormData();
  for (const [field, value, fileName] of entries) {
    if (typeof value === 'string') data.append(field, value);
    else data.append(field, new Blob([new Uint8Array(value)]), fileName ?? 'file');
  }
  return data;
}

/** Sends a form, or anything else as JSON; a request without a body is a GET. */
export function send(
  { url }: RunningServer,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const key = { 'x-api-key': testKey, ...headers };
  if (body === undefined) return fetch(url + path, { headers: key });
  if (body instanceof FormData) return fetch(url + path, { method: 'POST', body, headers: key });
  return fetch(url + path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { ...key, 'content-type': 'application/json' },
  });
}

/** The body of an answer that has to be 200 and exactly what the schema says. */
export async function answerOf<Schema extends z.ZodType>(
  schema: Schema,
  response: Response | Promise<Response>,
): Promise<z.infer<Schema>> {
  const settled = await response;
  const text = await settled.text();
  assert.equal(settled.status, 200, text);
  return schema.parse(JSON.parse(text));
}

/** The code of an answer that has to be an error with this status. */
export async function errorOf(status: number, response: Response | Promise<Response>): Promise<string> {
  const settled = await response;
  const text = await settled.text();
  assert.equal(settled.status, status, text);
  return JSON.parse(text).error;
}
