/** The pod's program as one process on this machine, with the shipped packages. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../free-ports.ts';
import { REPOSITORY } from '../paths.ts';
import { findProgram, lastLines, launchCommand } from '../process.ts';
import type { Endpoint } from './analyze.ts';

export interface LocalServer extends Endpoint {
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts it on a free port of the loopback interface and waits until it is ready.
 * @throws Error with the end of its log when it ends or is not ready in `timeoutMs`
 */
export async function startLocalServer(
  apiKey: string,
  logFile: string,
  timeoutMs = 60_000,
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
    env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', API_KEY: apiKey },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + timeoutMs;
  while (!(await isReady(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill();
      throw new Error(
        `the server ${child.exitCode === null ? 'did not become ready' : 'ended'}:\n${lastLines(readFileSync(logFile, 'utf8'), 8)}`,
      );
    }
    await sleep(100);
  }
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url, apiKey, stop };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/health/ready`).then(
    (response) => response.ok,
    () => false,
  );
}
