/** The pod's program as one process on this machine, by itself with the shipped packages. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../free-ports.ts';
import { REPOSITORY } from '../paths.ts';
import { findProgram, lastLines, launchCommand } from '../process.ts';
import type { Endpoint } from './analyze.ts';

export interface LocalServer extends Endpoint {
  readonly pid: number;
  /** How it ended: its exit code, or the signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>;
}

export interface LocalServerOptions {
  /** Added to ours. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * Starts it on a free port of the loopback interface and waits until it is ready.
 * @throws Error with the end of its log when it ends or is not ready in `timeoutMs`
 */
export async function startLocalServer(
  apiKey: string,
  logFile: string,
  { env = {}, timeoutMs = 60_000 }: LocalServerOptions = {},
): Promise<LocalServer> {
  const [port = 0] = await freePorts(1);
  const log = openSync(logFile, 'a');
  const [program = '', ...args] = launchCommand({
    command: process.execPath,
    args: ['inference/main.ts', 'serve'],
    // Where the kernel can be asked to, it ends the server with this process.
    outlivesCaller: findProgram('setpriv') === undefined,
  });
  const child = spawn(program, args, {
    cwd: REPOSITORY,
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', API_KEY: apiKey, ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL')),
  );
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + timeoutMs;
  while (!(await isReady(url))) {
    const alive = child.exitCode === null && child.signalCode === null;
    if (!alive || Date.now() > deadline) {
      child.kill();
      throw new Error(
        `the server ${alive ? 'did not become ready' : 'ended'}:\n${lastLines(readFileSync(logFile, 'utf8'), 8)}`,
      );
    }
    await sleep(100);
  }
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url, apiKey, pid: child.pid ?? 0, ended, stop };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/health/ready`).then(
    (response) => response.ok,
    () => false,
  );
}
