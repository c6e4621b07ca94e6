/** Real servers of real protocols, each for one test file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../../hack/lib/free-ports.ts';
import { ensureTestServers } from '../../../hack/lib/test-servers.ts';

export interface RunningServer {
  readonly port: number;
  /** Everything that the server keeps. */
  readonly folder: string;
  stop(): Promise<void>;
}

interface Launch {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** @param launch says how to start it on a port, with a folder of its own */
export async function startServer(
  name: 's3' | 'registry',
  launch: (port: number, folder: string) => Promise<Launch>,
): Promise<RunningServer> {
  const binaries = await ensureTestServers((line) => process.stderr.write(`${line}\n`));
  const folder = await mkdtemp(join(tmpdir(), `test-${name}-`));
  const [port = 0] = await freePorts(1);
  const { args, env } = await launch(port, folder);
  let log = '';
  const child = spawn(join(binaries, name), args, { env: { PATH: process.env['PATH'], ...env } });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answering(child, port);
  } catch (error) {
    await stop();
    throw new Error(`the ${name} server does not start: ${log.slice(-2000)}`, { cause: error });
  }
  return { port, folder, stop };
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer !== undefined) return;
    if (Date.now() > deadline) throw new Error('nobody answers');
    await sleep(50);
  }
}

export async function emptyFolder(...parts: readonly string[]): Promise<string> {
  const path = join(...parts);
  await mkdir(path, { recursive: true });
  return path;
}
