/** A package to fetch, an empty volume, the fetch command between them, and a wire that breaks. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { REPOSITORY } from '../../../hack/lib/paths.ts';
import { runFetch } from '../../../inference/models/fetch/command.ts';
import { writeAudioPackage } from '../../../inference/testing/packages.ts';

export const GRAPH_BYTES = 3 * 1024 * 1024;
const impatient = { attempts: 3, retryMs: 5, idleMs: 5_000, beatMs: 20, staleMs: 1_000 };

export interface FetchResult {
  readonly code: number;
  readonly digest?: string;
  readonly error?: { readonly reason: string; readonly message: string };
}

export interface Bench {
  readonly folder: string;
  /** The package's folder. */
  readonly model: string;
  readonly digest: string;
  /** The package as .tar.gz. */
  readonly archive: Buffer;
  /** Paths in the package, with contents. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly volume: string;
  /** Runs the command with `--digest` in this process, in a hurry. */
  fetch(source: object, env?: Readonly<Record<string, string>>, ...more: string[]): Promise<FetchResult>;
  /** Starts the command as a process of its own. */
  start(source: object, env?: Readonly<Record<string, string>>, ...more: string[]): FetchProcess;
  /** Names on the volume. */
  onVolume(): Promise<string[]>;
}

export interface FetchProcess {
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  kill(): void;
}

/** The graph is noise: nothing of it is compressed, and nothing here runs it. */
export async function withBench<T>(action: (bench: Bench) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fetch-test-'));
  try {
    return await action(await prepare(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare(folder: string): Promise<Bench> {
  const model = join(folder, 'voice');
  const volume = join(folder, 'volume');
  const graph = randomBytes(GRAPH_BYTES);
  const sha256 = createHash('sha256').update(graph).digest('hex');
  const digest = await writeAudioPackage(model, { graph: { sha256 } });
  await writeFile(join(model, 'classifier.onnx'), graph);
  const names = ['model.yaml', 'classifier.onnx', 'golden/square.wav'];
  const contents = await Promise.all(names.map((name) => readFile(join(model, name))));
  const argumentsOf = (source: object, more: readonly string[]) => [
    `--source=${JSON.stringify(source)}`,
    `--destination=${volume}`,
    `--digest=${digest}`,
    `--result=${join(folder, 'result')}`,
    ...more,
  ];
  return {
    folder,
    model,
    digest,
    archive: tarOf(model),
    files: new Map(names.map((name, index) => [name, contents[index] ?? Buffer.alloc(0)])),
    volume,
    fetch: async (source, env = {}, ...more) => {
      const code = await runFetch(argumentsOf(source, more), env, impatient);
      return { code, ...JSON.parse(await readFile(join(folder, 'result'), 'utf8')) };
    },
    start: (source, env = {}, ...more) => {
      const child = spawn(process.execPath, ['inference/main.ts', 'fetch', ...argumentsOf(source, more)], {
        cwd: REPOSITORY,
        env: { PATH: process.env['PATH'], ...env },
      });
      const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
      return {
        pid: child.pid ?? 0,
        ended: ended.then(([stdout, stderr, [code]]) => ({ stdout, stderr, code: code as number | null })),
        kill: () => child.kill('SIGKILL'),
      };
    },
    onVolume: async () => (await readdir(volume).catch(() => [])).sort(),
  };
}

/** The .tar.gz of a folder's contents, or of some of them. */
export function tarOf(folder: string, paths: readonly string[] = ['.'], compression = '-z'): Buffer {
  return execFileSync(
    'tar',
    ['-c', compression, '-C', folder, ...paths].filter((part) => part !== ''),
    {
      maxBuffer: 64 * 1024 * 1024,
    },
  );
}

export interface BreakingWire {
  readonly port: number;
  /** Bytes that came from the server, of every connection. */
  readonly received: number;
  /** Connections that were broken. */
  readonly broken: number;
  close(): void;
}

/** A way to a server's port whose first `breaks` long answers end after `afterBytes`. */
export async function breakingWire(
  to: number,
  { afterBytes, breaks }: { afterBytes: number; breaks: number },
): Promise<BreakingWire> {
  const state = { received: 0, broken: 0 };
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    let came = 0;
    upstream.on('data', (chunk) => {
      came += chunk.length;
      state.received += chunk.length;
      client.write(chunk);
      if (came <= afterBytes || state.broken >= breaks) return;
      state.broken += 1;
      upstream.destroy();
      client.end();
    });
    client.pipe(upstream);
    upstream.on('end', () => client.end());
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.on('close', () => upstream.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get received() {
      return state.received;
    },
    get broken() {
      return state.broken;
    },
    close: () => server.close(),
  };
}
