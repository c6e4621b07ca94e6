/** A real server under attack: what it answers, and what is left behind afterwards. */
import { readdir, readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from '../../inference/config/config.ts';
import { createLogger } from '../../inference/observability/logger.ts';
import { type RunningServer, startServer } from '../../inference/serve.ts';
import { inTemporaryFolder } from '../../inference/testing/media.ts';
import {
  writeAudioPackage,
  writeClassifierPackage,
  writeImagePackage,
  writeVideoPackage,
} from '../../inference/testing/packages.ts';
import type { HostileFile } from './bytes.ts';

/** How an attack ended: an HTTP status with the code of the error or the verdict, or `hang` or `crash` where no answer came. */
export interface Outcome {
  readonly status: number | 'hang' | 'crash';
  readonly said: string;
}

export interface Gauntlet {
  /** `127.0.0.1:port`; nothing may ever connect there. */
  readonly listenerAddress: string;
  send(file: HostileFile, model?: string): Promise<Outcome>;
  /** What is wrong now, when no request is under way, in words. */
  problems(): Promise<string[]>;
}

/** Longer than the server's own limit for a request, so that no answer by then is a hang. */
const requestTimeoutMs = 60_000;
const answerTimeoutMs = 90_000;
/** Processes that were told to end may take so long to be gone. */
const settleMs = 5_000;

/** Starts a server with a package of every family and a listener that counts who comes. */
export async function withGauntlet<T>(action: (gauntlet: Gauntlet) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await writeImagePackage(join(folder, 'residual'));
    await writeClassifierPackage(join(folder, 'classifier'));
    await writeAudioPackage(join(folder, 'voice'));
    await writeVideoPackage(join(folder, 'clip'));
    const listener = await openListener();
    const env = { PORT: '0', AUTH_MODE: 'off', MODELS_DIR: folder, ENGINE_WORKERS: '1' };
    const config = readConfig({ ...env, REQUEST_TIMEOUT_MS: String(requestTimeoutMs) });
    const server = await startServer(config, createLogger('silent'));
    try {
      await server.ready;
      return await action({
        listenerAddress: listener.address,
        send: (file, model) => send(server, file, model),
        problems: () => problems(server, listener.connections()),
      });
    } finally {
      await server.stop();
      await listener.close();
    }
  });
}

/** A 5xx says that the server blames itself: with hostile media it never may. */
export function isAcceptable({ status }: Outcome): boolean {
  return typeof status === 'number' && (status === 200 || (status >= 400 && status < 500));
}

async function send(server: RunningServer, file: HostileFile, model?: string): Promise<Outcome> {
  const form = new FormData();
  if (model !== undefined) form.set('model', model);
  form.set(
    'media',
    new Blob([new Uint8Array(file.bytes)], { type: file.type ?? '' }),
    file.fileName ?? 'upload',
  );
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    const response = await fetch(`${server.url}/analyze`, { method: 'POST', body: form, signal });
    const body = (await response.json()) as { error?: string; data?: { verdict?: string } };
    return { status: response.status, said: body.error ?? body.data?.verdict ?? 'nothing' };
  } catch (error) {
    return { status: signal.aborted ? 'hang' : 'crash', said: String(error) };
  }
}

async function problems(server: RunningServer, connections: number): Promise<string[]> {
  const ready = await fetch(`${server.url}/health/ready`);
  const files = await whenSettled(spooledFiles);
  const children = await whenSettled(ffmpegChildren);
  return [
    ...(ready.ok ? [] : [`the server is not ready: ${await ready.text()}`]),
    ...files.map((file) => `the upload ${file} is left on disk`),
    ...children.map((pid) => `ffmpeg ${pid} is still running`),
    ...(connections === 0 ? [] : [`the listener was contacted ${connections} times`]),
  ];
}

async function whenSettled(find: () => Promise<string[]>): Promise<string[]> {
  for (let waited = 0; ; waited += 50) {
    const found = await find();
    if (found.length === 0 || waited >= settleMs) return found;
    await delay(50);
  }
}

async function spooledFiles(): Promise<string[]> {
  const folders = (await readdir(tmpdir())).filter((name) =>
    name.startsWith(`deepfake-uploads-${process.pid}-`),
  );
  return (await Promise.all(folders.map((folder) => readdir(join(tmpdir(), folder))))).flat();
}

/** Children of this process that are called ffmpeg, by number. */
async function ffmpegChildren(): Promise<string[]> {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    numbers.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
      return /\((ffmpeg|ffprobe)\) \S (\d+)/.exec(stat)?.[2] === String(process.pid) ? [pid] : [];
    }),
  );
  return found.flat();
}

async function openListener() {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    connections: () => connections,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
