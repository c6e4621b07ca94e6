/** A client in a pod that asks a detector over and over, so that a rollout is seen as those see it who depend on it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { imagesOfCheckout } from '../../hack/lib/deploy.ts';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { configMap } from './archives.ts';
import { has, isHealthy, pod, type Stage } from './stage.ts';

export const MODEL = 'image-residual-cnn';
/** Small enough for two cores, together with whatever else runs. */
export const RESOURCES = { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } };
/** Of what a rollout takes with pods that start on a busy machine. */
export const TIMEOUT_MS = 240_000;

/** What came of one request. */
export interface Asked {
  readonly at: number;
  /** The connection is used again. */
  readonly kept: boolean;
  /** 0: there was no answer. */
  readonly status: number;
  readonly version?: string;
  readonly pod?: string;
  readonly error?: string;
}

export interface Load {
  /** What was answered from a moment on, in order. */
  answers(since?: number): Promise<Asked[]>;
}

export const golden = (name: string) =>
  readFileSync(join(REPOSITORY, 'models', MODEL, 'golden', name)).toString('base64');

export const failures = (asked: readonly Asked[]) => asked.filter(({ status }) => status !== 200);

/** Waits until a ModelDeployment serves, and has it asked from then on by a pod `<deployment>-client`. */
export async function askConstantly(stage: Stage, deployment: string, clients = 4): Promise<Load> {
  const { inference: image } = await imagesOfCheckout();
  const client = `${deployment}-client`;
  const serving = await stage.until('modeldeployment', deployment, 'serves', isHealthy, TIMEOUT_MS);
  const { name, key } = serving.status.authSecret;
  const url = `http://${deployment}.${stage.namespace}.svc/analyze`;
  await stage.apply(
    configMap(client, {
      data: { 'asking-client.ts': readFileSync(join(import.meta.dirname, 'asking-client.ts'), 'utf8') },
      binaryData: { 'fake.png': golden('fake.png') },
    }),
    pod(client, image, ['node', '/client/asking-client.ts', url, '/client/fake.png', String(clients)], {
      volumes: [{ name: 'client', configMap: { name: client } }],
      container: {
        env: [{ name: 'API_KEY', valueFrom: { secretKeyRef: { name, key } } }],
        volumeMounts: [{ name: 'client', mountPath: '/client' }],
      },
    }),
  );
  await stage.until('pod', client, 'runs', has('Ready', 'True'));
  return {
    answers: async (since = 0) => {
      const lines = (await stage.kubectl(['logs', client])).trim().split('\n');
      return lines
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Asked)
        .filter(({ at }) => at >= since);
    },
  };
}
