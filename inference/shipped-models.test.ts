/** The packages of `models/`, each started as a pod starts them: nothing that ships may fail its own golden files. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from './config/config.ts';
import { loadPackage } from './models/package.ts';
import { createLogger } from './observability/logger.ts';
import { startServer } from './serve.ts';

const folder = join(import.meta.dirname, '..', 'models');
const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'model.yaml')));

describe('a package that ships', () => {
  test('is there', () => assert.ok(names.includes('audio-spectrogram-cnn')));
  for (const name of names) {
    test(`${name} becomes ready in each of its precisions`, async () => {
      const { manifest } = await loadPackage(join(folder, name));
      const variants = Object.values(manifest.graphs).flatMap((graph) => graph?.variants ?? []);
      for (const precision of new Set(['fp32', ...variants.map((variant) => variant.precision)])) {
        const env = { PORT: '0', MODELS_DIR: folder, ACTIVE_MODELS: name, ENGINE_WORKERS: '1' };
        const server = await startServer(
          readConfig({ ...env, PRECISION: precision }),
          createLogger('silent'),
        );
        try {
          assert.ok(await server.ready, precision);
        } finally {
          await server.stop();
        }
      }
    });
  }
});
