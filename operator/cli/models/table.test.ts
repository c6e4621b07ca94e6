import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { DeepfakeModel, ModelDeployment } from '../../controllers/kinds.ts';
import { plain } from '../text.ts';
import { renderModels } from './table.ts';

const NOW = Date.parse('2026-03-04T12:00:00Z');
const DRAWING = { now: NOW, paint: plain };
const DIGEST = `sha256:${'a'.repeat(64)}`;

const model = (name: string, namespace: string, status?: object): DeepfakeModel =>
  ({
    metadata: { name, namespace, creationTimestamp: '2026-03-04T11:00:00Z' },
    spec: { source: { http: { url: 'https://models.test/a.tar.gz' } } },
    status,
  }) as unknown as DeepfakeModel;

const VERIFIED = model('cnn', 'prod', {
  phase: 'Ready',
  message: 'verified',
  digest: DIGEST,
  sizeBytes: 1_234_567,
  card: { version: '0.1.0', modality: 'image', status: 'demonstration' },
  pvc: { claimName: 'cnn-weights' },
  fetch: { attempts: 2 },
});
const deployment = (name: string, namespace: string) =>
  ({ metadata: { name, namespace }, spec: { models: [{ name: 'cnn' }] } }) as unknown as ModelDeployment;
const deployments = [deployment('b', 'prod'), deployment('a', 'prod'), deployment('c', 'test')];

it('models have a line each, with who uses them in their namespace', () => {
  const page = { models: [model('new', 'prod'), VERIFIED], deployments, everywhere: false, wide: false };
  assert.equal(
    renderModels(page, DRAWING),
    `NAME   PHASE       VERSION   MODALITY   SIZE     DIGEST                CARD            USED BY   AGE   MESSAGE
cnn    ✔ Ready     0.1.0     image      1.2 MB   sha256:aaaaaaaaaaaa   demonstration   a,b       60m   verified
new    ◌ Pending   -         -          -        -                     -               -         60m`,
  );
});

it('more is shown where it is wanted', () => {
  const page = { models: [VERIFIED], deployments, everywhere: true, wide: true };
  assert.equal(
    renderModels(page, DRAWING),
    `NAMESPACE   NAME   PHASE     VERSION   MODALITY   SIZE     DIGEST                                                                    CARD            USED BY   AGE   CLAIM         SOURCE   ATTEMPTS   MESSAGE
prod        cnn    ✔ Ready   0.1.0     image      1.2 MB   ${DIGEST}   demonstration   a,b       60m   cnn-weights   http     2          verified`,
  );
});
