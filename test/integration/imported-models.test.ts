/** Models that others trained and published, served from packages around their files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { z } from 'zod';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { readConfig } from '../../inference/config/config.ts';
import { createLogger } from '../../inference/observability/logger.ts';
import { type RunningServer, startServer } from '../../inference/serve.ts';
import { inTemporaryFolder } from '../../inference/testing/media.ts';
import { form } from '../../inference/testing/server.ts';
import { sharedMedia, withoutSharedMedia } from '../../inference/testing/shared-media.ts';

const graph = 'models/meso4/models_mesonet-benpinhasov_model.onnx';
const faces = 'image/mesonet';
const key = 'imported-models-key';
const skip = withoutSharedMedia(graph) || withoutSharedMedia(faces);
const program = join(REPOSITORY, 'models/import/run');
const environment = join(REPOSITORY, 'models/import/.cache/venv');
const detection = z.looseObject({ verdict: z.string(), score: z.number() });

const pictures = [
  { file: 'test_images_real_real00240.jpg', label: 'real' },
  { file: 'test_images_real_real00772.jpg', label: 'real' },
  { file: 'test_images_df_df00204.jpg', label: 'fake' },
  { file: 'test_images_df_df01254.jpg', label: 'fake' },
];

describe('a Meso4 of others', { skip }, () => {
  test('tells swapped faces from real ones with nothing but a model.yaml of ours', async () => {
    await inTemporaryFolder(async (folder) => {
      await writePackage(join(folder, 'meso4'));
      await judgesAll(folder);
    });
  });

  const unprepared =
    !existsSync(environment) && 'models/import/run --help prepares the environment of imports';
  test('is served as models/import packs it, in both precisions', { skip: unprepared }, async () => {
    await inTemporaryFolder(async (folder) => {
      const golden = pictures.map(({ file }) => sharedMedia(faces, file));
      const out = join(folder, 'meso4');
      await promisify(execFile)(program, [
        ...['meso4', sharedMedia(graph), '--out', out, '--int8', '--golden'],
        ...golden,
      ]);
      for (const precision of ['fp32', 'int8']) await judgesAll(folder, { PRECISION: precision });
    });
  });
});

/** The self-test of the start reproduces the golden scores; then every picture is on its side. */
async function judgesAll(folder: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const config = readConfig({ PORT: '0', API_KEY: key, MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env });
  const server = await startServer(config, createLogger('silent'));
  try {
    await server.ready;
    for (const { file, label } of pictures) {
      const { verdict } = await judge(server, file);
      assert.equal(verdict, label === 'fake' ? 'DEEPFAKE' : 'AUTHENTIC', file);
    }
  } finally {
    await server.stop();
  }
}

async function judge({ url }: RunningServer, file: string) {
  const body = form(['media', await readFile(sharedMedia(faces, file)), file]);
  const response = await fetch(`${url}/v1/detections`, {
    method: 'POST',
    body,
    headers: { 'x-api-key': key },
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return detection.parse(JSON.parse(text));
}

/** The graph takes [n, 256, 256, 3] pixels in 0..1 and answers with P(real). */
async function writePackage(directory: string): Promise<void> {
  await mkdir(join(directory, 'golden'), { recursive: true });
  await copyFile(sharedMedia(graph), join(directory, 'classifier.onnx'));
  const golden = sharedMedia(faces, 'test_images_df_df00204.jpg');
  await copyFile(golden, join(directory, 'golden/fake.jpg'));
  const manifest = {
    formatVersion: 1,
    name: 'meso4',
    version: '1.0.0',
    modality: 'image',
    description: 'Meso4 as others converted it.',
    pipeline: {
      type: 'image-classifier',
      size: { width: 256, height: 256 },
      fit: 'stretch',
      kernel: 'nearest',
      decode: 'full',
      channels: 'rgb',
      layout: 'nhwc',
      scale: 1 / 255,
      mean: [0, 0, 0],
      std: [1, 1, 1],
      minSide: 64,
    },
    graphs: {
      classifier: {
        file: 'classifier.onnx',
        sha256: await digestOf(sharedMedia(graph)),
        input: 'input',
        output: 'dense_1',
      },
    },
    output: { positive: 'real', activation: 'none' },
    calibration: { method: 'none' },
    thresholds: { low: 0.3, high: 0.7 },
    // models/import/run meso4 measured this with onnxruntime and Pillow.
    golden: [{ file: 'golden/fake.jpg', sha256: await digestOf(golden), score: 0.95859, tolerance: 0.02 }],
    card: {
      license: 'Apache-2.0',
      status: 'demonstration',
      intendedUse: 'Tests.',
      limitations: 'Knows the face swaps of 2018.',
      trainingData: 'Not ours.',
      evaluation: [],
    },
  };
  await writeFile(join(directory, 'model.yaml'), stringify(manifest));
}

async function digestOf(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}
