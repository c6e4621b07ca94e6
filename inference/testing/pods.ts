/** Pods that serve the same models, for tests of what they share. */
import { join } from 'node:path';
import { readConfig } from '../config/config.ts';
import { createLogger } from '../observability/logger.ts';
import { type RunningServer, startServer } from '../serve.ts';
import { inTemporaryFolder } from './media.ts';
import { writeImagePackage } from './packages.ts';

export interface Pod {
  readonly server: RunningServer;
  /** Everything logged so far. */
  readonly log: () => string;
}

/** Starts a pod for each environment, with the models `picture` and `slow`, and stops them all afterwards. */
export async function withPods<T>(
  environments: readonly Readonly<Record<string, string>>[],
  action: (...pods: Pod[]) => Promise<T>,
): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'picture'));
    await writeImagePackage(join(folder, 'slow'), { delays: 150 });
    const pods: Pod[] = [];
    try {
      for (const env of environments) {
        const lines: string[] = [];
        const logger = createLogger('info', { write: (line) => lines.push(line) });
        const config = readConfig({ PORT: '0', MODELS_DIR: folder, ENGINE_WORKERS: '1', ...env });
        const server = await startServer(config, logger);
        pods.push({ server, log: () => lines.join('') });
        await server.ready;
      }
      return await action(...pods);
    } finally {
      await Promise.all(pods.map(({ server }) => server.stop()));
    }
  });
}

export interface Upload {
  readonly fields?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Sends a file to `/analyze`. */
export function upload(
  { server }: Pod,
  media: Uint8Array,
  { fields = {}, headers = {}, signal }: Upload = {},
): Promise<Response> {
  const body = new FormData();
  body.set('media', new Blob([new Uint8Array(media)]), 'f');
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const init = { method: 'POST', body, headers };
  return fetch(`${server.url}/analyze`, signal === undefined ? init : { ...init, signal });
}

/** The value of a metric by its name and labels, as the scraper reads it; 0 where it is not there. */
export async function metricOf({ server }: Pod, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}
