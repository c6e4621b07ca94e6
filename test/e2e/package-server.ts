/**
 * Runs in a pod, alone: serves the archives of a folder, in the ways that tests ask for by the first part of the path.
 * `/plain/FILE`; `/private/FILE`: with the right key alone, and the first answer is cut in its middle; `/slow/FILE`: over 20 s.
 * Prints each request as a line of JSON.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [folder = '', key = ''] = process.argv.slice(2);
const PARTS = 40;
const PAUSE_MS = 500;

let cut = false;

async function send(response: ServerResponse, body: Buffer, way: string | undefined): Promise<void> {
  if (way === 'private' && !cut) {
    cut = true;
    response.write(body.subarray(0, body.length / 2), () => response.destroy());
    return;
  }
  const size = way === 'slow' ? Math.ceil(body.length / PARTS) : body.length;
  for (let from = 0; from < body.length && !response.destroyed; from += size) {
    if (way === 'slow') await sleep(PAUSE_MS);
    response.write(body.subarray(from, from + size));
  }
  response.end();
}

createServer((request, response) => {
  const [, way] = (request.url ?? '').split('/');
  const authorized = request.headers.authorization === key;
  const file = readFileSync(join(folder, basename(request.url ?? '')));
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const status = way === 'private' && !authorized ? 401 : from > 0 ? 206 : 200;
  console.log(JSON.stringify({ path: request.url, from, status }));
  if (status === 401) {
    response.writeHead(status).end();
    return;
  }
  const body = file.subarray(from);
  response.writeHead(status, {
    'content-length': body.length,
    etag: `"${createHash('sha256').update(file).digest('hex')}"`,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${file.length - 1}/${file.length}` } : {}),
  });
  void send(response, body, way);
}).listen(8080);
process.once('SIGTERM', () => process.exit());
