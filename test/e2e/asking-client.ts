/**
 * Runs in a pod: asks a detector about one file over and over until it is told to end, with connections that are kept and with some that
 * are not, and prints each answer as a line of JSON.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [url = '', file = '', clients = ''] = process.argv.slice(2);
const PAUSE_MS = 150;
const boundary = 'part';
const body = Buffer.concat([
  Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="media"; filename="a.png"\r\ncontent-type: image/png\r\n\r\n`,
  ),
  readFileSync(file),
  Buffer.from(`\r\n--${boundary}--\r\n`),
]);

interface Said {
  readonly status: number;
  readonly version?: string;
  readonly pod?: string;
  readonly error?: string;
}

const ask = (agent: Agent) =>
  new Promise<Said>((resolve) => {
    const headers = {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': body.length,
      'x-api-key': process.env['API_KEY'] ?? '',
    };
    const asking = request(url, { agent, method: 'POST', headers, timeout: 30_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status !== 200) return resolve({ status, error: text.slice(0, 300) });
        const { model, served_by } = JSON.parse(text);
        resolve({ status, version: model.version, pod: served_by.pod });
      });
      response.on('error', (error) => resolve({ status: 0, error: error.message }));
    });
    asking.on('timeout', () => asking.destroy(new Error('no answer within 30 s')));
    asking.on('error', (error) => resolve({ status: 0, error: error.message }));
    asking.end(body);
  });

let ends = false;
process.once('SIGTERM', () => {
  ends = true;
});
await Promise.all(
  Array.from({ length: Number(clients) }, async (_, index) => {
    const agent = new Agent({ keepAlive: index % 2 === 0, maxSockets: 1 });
    while (!ends) {
      console.log(JSON.stringify({ at: Date.now(), kept: index % 2 === 0, ...(await ask(agent)) }));
      await sleep(PAUSE_MS);
    }
    agent.destroy();
  }),
);
