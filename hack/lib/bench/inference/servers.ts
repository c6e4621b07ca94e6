/** The servers that are compared: how each is started and asked. All run the same graph on this machine's processors. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../free-ports.ts';
import { IMAGE_MEMORY_ENVIRONMENT } from '../../image-environment.ts';
import { REPOSITORY } from '../../paths.ts';
import { lastLines, launchCommand } from '../../process.ts';
import { eventually } from '../../waiting.ts';
import type { PreparedRequest } from './load.ts';

export interface Medium {
  readonly name: string;
  readonly mime: string;
  readonly bytes: Buffer;
}

export type ServerName =
  | 'pod'
  | 'pod, INT8'
  | 'FastAPI'
  | 'FastAPI, tuned'
  | 'FastAPI, tuned, INT8'
  | 'LitServe'
  | 'MLServer'
  | 'bare HTTP';

export interface Server {
  readonly name: ServerName;
  readonly environment: (port: number) => NodeJS.ProcessEnv;
  readonly command: (port: number) => readonly string[];
  readonly workingDirectory: string;
  /** Answers 200 once requests are served. */
  readonly readyPath: string;
  readonly pingPath: string;
  readonly ask: (medium: Medium) => PreparedRequest;
}

/** What has been made before: see `setup.ts`. */
export interface Ingredients {
  readonly python: string;
  readonly mlserver: string;
  /** Folder of `fp32.onnx` and `int8.onnx`. */
  readonly graphs: string;
  /** Folders that hold one package each for the pod. */
  readonly packages: { readonly fp32: string; readonly int8: string; readonly video: string };
  readonly processors: number;
  /** Servers may write here. */
  readonly work: string;
}

const PEERS = join(import.meta.dirname, 'peers');

export function serversOf(ingredients: Ingredients): readonly Server[] {
  const { graphs, processors, packages } = ingredients;
  const fp32 = join(graphs, 'fp32.onnx');
  const int8 = join(graphs, 'int8.onnx');
  const half = Math.max(1, Math.floor(processors / 2));
  const tuned = { workers: 2, threads: half, draft: true };
  return [
    pod('pod', packages.fp32, ingredients),
    pod('pod, INT8', packages.int8, ingredients),
    fastApi('FastAPI', ingredients, fp32, { workers: 1, threads: processors, draft: false }),
    fastApi('FastAPI, tuned', ingredients, fp32, tuned),
    fastApi('FastAPI, tuned, INT8', ingredients, int8, tuned),
    litServe(ingredients, fp32, half),
    mlServer(ingredients, fp32, half),
  ];
}

/** The pod with the detector of clips. */
export const clipServerOf = (ingredients: Ingredients): Server =>
  pod('pod', ingredients.packages.video, ingredients);

/** The pod that knows results again. */
export const cachingServerOf = (ingredients: Ingredients): Server =>
  pod('pod', ingredients.packages.fp32, ingredients, 'memory');

/** Takes uploads and looks at nothing. */
export const bareHttp = (): Server => ({
  name: 'bare HTTP',
  workingDirectory: REPOSITORY,
  command: (port) => [process.execPath, join(import.meta.dirname, 'bare-http.ts'), String(port)],
  environment: () => ({}),
  readyPath: '/ping',
  pingPath: '/ping',
  ask: (medium) => multipart('/analyze', 'media', medium),
});

/** As its image runs it: with the compiled code of an earlier start. */
function pod(
  name: ServerName,
  packages: string,
  { work }: Ingredients,
  cache: 'off' | 'memory' = 'off',
): Server {
  return {
    name,
    workingDirectory: REPOSITORY,
    command: () => [process.execPath, 'inference/main.ts', 'serve'],
    environment: (port) => ({
      PORT: String(port),
      HOST: '127.0.0.1',
      MODELS_DIR: packages,
      LOG_LEVEL: 'warn',
      ...IMAGE_MEMORY_ENVIRONMENT,
      MAX_UPLOAD_BYTES: String(512 * 1024 ** 2),
      REQUEST_TIMEOUT_MS: '600000',
      MAX_QUEUE: '256',
      NODE_COMPILE_CACHE: join(work, 'compile-cache'),
      CACHE_BACKEND: cache,
    }),
    readyPath: '/health/ready',
    pingPath: '/ping',
    ask: (medium) => multipart('/analyze', 'media', medium),
  };
}

function fastApi(
  name: ServerName,
  { python }: Ingredients,
  graph: string,
  { workers, threads, draft }: { workers: number; threads: number; draft: boolean },
): Server {
  return {
    name,
    workingDirectory: PEERS,
    command: (port) => [
      ...[python, '-m', 'uvicorn', 'fastapi_app:app', '--host', '127.0.0.1', '--port', String(port)],
      ...['--workers', String(workers), '--log-level', 'warning', '--no-access-log'],
    ],
    environment: () => ({ GRAPH: graph, THREADS: String(threads), DRAFT: draft ? '1' : '0' }),
    readyPath: '/ping',
    pingPath: '/ping',
    ask: (medium) => multipart('/predict', 'file', medium),
  };
}

function litServe({ python }: Ingredients, graph: string, threads: number): Server {
  return {
    name: 'LitServe',
    workingDirectory: PEERS,
    command: () => [python, 'litserve_app.py'],
    environment: (port) => ({ GRAPH: graph, THREADS: String(threads), PORT: String(port) }),
    readyPath: '/health',
    pingPath: '/health',
    ask: (medium) => multipart('/predict', 'file', medium),
  };
}

/** Reads its settings from files in its folder. */
function mlServer({ mlserver, work }: Ingredients, graph: string, threads: number): Server {
  const folder = join(work, 'mlserver');
  return {
    name: 'MLServer',
    workingDirectory: folder,
    command: (port) => {
      mkdirSync(folder, { recursive: true });
      const settings = {
        host: '127.0.0.1',
        http_port: port,
        grpc_port: port + 1,
        metrics_port: port + 2,
        parallel_workers: 2,
        debug: false,
      };
      writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
      const model = {
        name: 'detector',
        implementation: 'mlserver_runtime.Detector',
        max_batch_size: 8,
        max_batch_time: 0.005,
      };
      writeFileSync(join(folder, 'model-settings.json'), JSON.stringify(model));
      return [mlserver, 'start', '.'];
    },
    environment: () => ({ GRAPH: graph, THREADS: String(threads), PYTHONPATH: PEERS }),
    readyPath: '/v2/models/detector/ready',
    pingPath: '/v2/health/live',
    ask: ({ bytes }) => {
      const input = {
        name: 'media',
        datatype: 'BYTES',
        shape: [1, 1],
        parameters: { content_type: 'base64' },
        data: [bytes.toString('base64')],
      };
      return {
        method: 'POST',
        path: '/v2/models/detector/infer',
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ inputs: [input] })),
      };
    },
  };
}

export function multipart(path: string, field: string, { name, mime, bytes }: Medium): PreparedRequest {
  const boundary = 'bench-0123456789';
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: ${mime}\r\n\r\n`;
  return {
    method: 'POST',
    path,
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  };
}

/** Ends what a server has left behind. */
function endGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export interface RunningPeer extends Server {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process until it was ready, ms. */
  readonly startMs: number;
  stop(): Promise<void>;
}

/** @throws Error with the end of its log where it does not become ready in two minutes */
export async function startServer(server: Server, work: string): Promise<RunningPeer> {
  // MLServer takes the two ports after its own as well.
  const [port = 0] = await freePorts(3);
  const logFile = join(work, `${server.name.replaceAll(/\W+/g, '-')}.log`);
  const log = openSync(logFile, 'a');
  const [program = '', ...args] = launchCommand({
    command: server.command(port)[0] ?? '',
    args: server.command(port).slice(1),
    outlivesCaller: false,
  });
  const startedAt = performance.now();
  const child = spawn(program, args, {
    cwd: server.workingDirectory,
    // Servers are measured, and not how they tell the maker of their runtime about it.
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ORT_DISABLE_TELEMETRY: '1',
      ...server.environment(port),
    },
    stdio: ['ignore', log, log],
    // A process group of its own: LitServe's processes outlive the one that started them, and go on computing.
    detached: true,
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(killing);
    endGroup(child.pid);
  };
  try {
    await eventually(
      `${server.name} is ready`,
      () => child.exitCode !== null || fetch(url + server.readyPath).then(({ ok }) => ok),
      120_000,
      10,
    );
    if (child.exitCode !== null) throw new Error(`${server.name} ended at once`);
  } catch (error) {
    await stop();
    throw new Error(`${server.name} does not serve:\n${lastLines(readFileSync(logFile, 'utf8'), 12)}`, {
      cause: error,
    });
  }
  return { ...server, url, pid: child.pid ?? 0, startMs: performance.now() - startedAt, stop };
}
