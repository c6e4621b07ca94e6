/** The command against a server that answers as a pod does, or as one does not. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { inTemporaryFolder } from '../testing/media.ts';
import { readArguments, reportText, runProbe } from './command.ts';

interface Call {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** How often this file has come, with this time. */
  readonly attempt: number;
}

type Reply = { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> };

/** The file's name tells its score: `0.9-a.png`. */
const scoreOf = (body: string) => Number(/filename="([\d.]+)-/.exec(body)?.[1]);

function judged(score: number | null, overrides: Record<string, unknown> = {}): Reply {
  const verdict = score === null ? 'INCONCLUSIVE' : score >= 0.7 ? 'DEEPFAKE' : 'AUTHENTIC';
  return {
    status: 200,
    body: {
      data: {
        verdict,
        score,
        inconclusive_reasons: score === null ? ['no_face'] : [],
        thresholds: { low: 0.3, high: 0.7 },
      },
      model: { name: 'picture', version: '1.0.0', digest: 'sha256:1', ...overrides },
    },
  };
}

const refusal = (status: number, error: string, headers = {}): Reply => ({
  status,
  body: { error, message: `that is ${error}` },
  headers,
});

async function withServer<T>(
  reply: (call: Call) => Reply,
  action: (url: string, calls: Call[]) => Promise<T>,
) {
  const calls: Call[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString('latin1');
    const name = /filename="([^"]*)"/.exec(body)?.[1];
    const attempt = calls.filter((call) => call.body.includes(`filename="${name}"`)).length + 1;
    const call = { headers: request.headers, body, attempt };
    calls.push(call);
    const { status, body: said, headers = {} } = reply(call);
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(said));
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await action(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const names = ['0.9-a.png', '0.8-b.png', '0.2-c.png', '0.1-d.png'];
const manifest = `path,label\n${names.map((name) => `${name},${name > '0.5' ? 'fake' : 'real'}`).join('\n')}\n`;

async function inMediaFolder<T>(action: (folder: string, result: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    const media = join(folder, 'media');
    await mkdir(media);
    for (const name of names) await writeFile(join(media, name), name);
    await writeFile(join(media, 'manifest.csv'), manifest);
    return action(media, join(folder, 'result'));
  });
}

/** What the command leaves, against one server that is the canary. */
const probed = (reply: (call: Call) => Reply, env = {}, args: readonly string[] = []) =>
  inMediaFolder((media, result) =>
    withServer(reply, async (url, calls) => {
      const all = ['--canary', url, '--media', media, '--result', result, ...args];
      const code = await runProbe(all, env, { retryMs: 1 });
      return { code, calls, said: JSON.parse(await readFile(result, 'utf8')) };
    }),
  );

describe('a probe', () => {
  test('measures, and asks as a client that wants a judgement of now', async () => {
    const { code, said, calls } = await probed(
      (call) => judged(scoreOf(call.body)),
      { API_KEY: 'one, two' },
      ['--model', 'picture'],
    );
    assert.deepEqual([code, said.compared, said.canary.auc, said.canary.accuracy], [0, 4, 1, 1]);
    assert.deepEqual([said.canary.version, said.canary.threshold, said.stable], ['1.0.0', 0.7, undefined]);
    for (const { headers, body } of calls) {
      assert.deepEqual(
        [headers['x-api-key'], headers['cache-control'], headers['x-request-priority']],
        ['one', 'no-store', 'batch'],
      );
      assert.match(body, /name="model"\r\n\r\npicture\r\n/);
    }
  });

  test('tries a busy server again when it says', async () => {
    const { code, said, calls } = await probed(({ body, attempt }) =>
      attempt < 3 ? refusal(503, 'queue_full', { 'retry-after': '0' }) : judged(scoreOf(body)),
    );
    assert.deepEqual([code, said.canary.unanswered, calls.length], [0, 0, 12]);
  });

  test('counts what stays unanswered, and why', async () => {
    const { code, said, calls } = await probed(
      ({ body }) => (scoreOf(body) === 0.1 ? refusal(503, 'queue_full') : judged(scoreOf(body))),
      {},
      ['--attempts', '2'],
    );
    assert.deepEqual([code, said.canary.unanswered, said.canary.why, calls.length], [0, 1, 'queue_full', 5]);
  });

  test('does not send a file again that is refused for what it is', async () => {
    const { said, calls } = await probed(({ body }) =>
      scoreOf(body) === 0.1 ? refusal(422, 'corrupt_media') : judged(scoreOf(body)),
    );
    assert.deepEqual([said.canary.unanswered, said.canary.why, calls.length], [1, 'corrupt_media', 4]);
  });

  test('counts what cannot be judged, and never as a score', async () => {
    const { code, said } = await probed(({ body }) => judged(scoreOf(body) > 0.5 ? null : scoreOf(body)));
    assert.deepEqual([code, said.compared, said.canary.inconclusive, said.canary.auc], [0, 2, 2, null]);
  });

  const failures: {
    name: string;
    reply: (call: Call) => Reply;
    code: number;
    reason: string;
    message: RegExp;
  }[] = [
    {
      name: 'a key that is not accepted',
      reply: () => refusal(401, 'unauthorized'),
      code: 2,
      reason: 'Unauthorized',
      message: /^canary at http:.*: unauthorized: that is unauthorized$/,
    },
    {
      name: 'a model that is not there',
      reply: () => refusal(422, 'unknown_model'),
      code: 2,
      reason: 'NoModel',
      message: /unknown_model/,
    },
    {
      name: 'a server that answers nothing',
      reply: () => refusal(500, 'inference_failed'),
      code: 1,
      reason: 'NothingAnswered',
      message: /none of 4 files: inference_failed/,
    },
    {
      name: 'something else than a pod',
      reply: () => ({ status: 200, body: { hello: 'world' } }),
      code: 1,
      reason: 'NothingAnswered',
      message: /not that of \/analyze/,
    },
    {
      name: 'an address behind which two packages answer',
      reply: ({ body }) => judged(scoreOf(body), { version: scoreOf(body) > 0.5 ? '1.0.0' : '2.0.0' }),
      code: 1,
      reason: 'MixedModels',
      message: /picture \d\.0\.0 and by picture \d\.0\.0/,
    },
  ];
  for (const { name, reply, code, reason, message } of failures) {
    test(`of ${name} measures nothing and says ${reason}`, async () => {
      const found = await probed(reply);
      assert.deepEqual([found.code, found.said.error.reason], [code, reason]);
      assert.match(found.said.error.message, message);
    });
  }

  test('of nobody at all measures nothing', () =>
    inMediaFolder(async (media, result) => {
      const gone = await withServer(
        () => refusal(500, 'gone'),
        async (url) => url,
      );
      const args = ['--canary', gone, '--media', media, '--result', result, '--attempts', '1'];
      assert.equal(await runProbe(args, {}, { retryMs: 1 }), 1);
      const { error } = JSON.parse(await readFile(result, 'utf8'));
      assert.deepEqual([error.reason, /ECONNREFUSED/.test(error.message)], ['NothingAnswered', true]);
    }));

  test('ends with a reason when its time is over', () =>
    inMediaFolder((media, result) =>
      withServer(
        () => refusal(503, 'queue_full', { 'retry-after': '30' }),
        async (url) => {
          const args = ['--canary', url, '--media', media, '--result', result, '--timeout-seconds', '1'];
          assert.equal(await runProbe(args, {}), 1);
          const { error } = JSON.parse(await readFile(result, 'utf8'));
          assert.deepEqual(error, {
            reason: 'DeadlineExceeded',
            message: 'the files were not judged within 1 s',
          });
        },
      ),
    ));
});

describe('media from an address', () => {
  async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
    const entries = pack();
    for (const [name, content] of Object.entries(files)) entries.entry({ name }, content);
    entries.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of entries.pipe(createGzip())) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  async function fromAddress(bytes: Buffer, digest: string) {
    const server = createServer((_, response) => response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/media.tar.gz`;
    try {
      return await inTemporaryFolder((folder) =>
        withServer(
          (call) => judged(scoreOf(call.body)),
          async (url) => {
            const result = join(folder, 'result');
            const media = ['--media-url', source, '--media-digest', digest];
            const code = await runProbe(['--canary', url, ...media, '--result', result], {});
            return { code, said: JSON.parse(await readFile(result, 'utf8')) };
          },
        ),
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const files = Object.fromEntries([
    ['set/manifest.csv', manifest],
    ...names.map((name) => [`set/${name}`, name]),
  ]);

  test('are unpacked and judged', async () => {
    const bytes = await archive(files);
    const { code, said } = await fromAddress(bytes, digestOf(bytes));
    assert.deepEqual([code, said.files, said.canary.auc], [0, 4, 1]);
  });

  test('of another digest are not looked at', async () => {
    const { code, said } = await fromAddress(await archive(files), `sha256:${'0'.repeat(64)}`);
    assert.deepEqual([code, said.error.reason], [2, 'InvalidMedia']);
    assert.match(said.error.message, /the SHA-256 is/);
  });
});

describe('arguments of a probe', () => {
  const folder = ['--media', '/media'];
  const canary = ['--canary', 'http://c'];
  const rows = [
    { name: 'without a canary', args: folder, message: /--canary has to be http/ },
    { name: 'without media', args: canary, message: /exactly one of --media and --media-url/ },
    {
      name: 'with two places of media',
      args: [...canary, ...folder, '--media-url', 'http://m'],
      message: /exactly one of --media and --media-url/,
    },
    {
      name: 'with an address without a digest',
      args: [...canary, '--media-url', 'http://m'],
      message: /--media-url needs --media-digest/,
    },
    {
      name: 'with another protocol',
      args: ['--canary', 'ftp://c', ...folder],
      message: /--canary has to be http/,
    },
    {
      name: 'with no concurrency',
      args: [...canary, ...folder, '--concurrency', '0'],
      message: /--concurrency has to be a whole number, 1\.\.64/,
    },
    { name: 'that nobody knows', args: [...canary, ...folder, '--fast'], message: /Unknown option '--fast'/ },
  ];
  for (const { name, args, message } of rows) {
    test(`${name} are refused in one line that says what there is`, () => {
      assert.throws(
        () => readArguments(args, {}),
        (error: Error) => {
          assert.match(error.message, message);
          assert.match(error.message, /; give --canary URL/);
          assert.ok(!error.message.includes('\n'));
          return true;
        },
      );
    });
  }
});

test('a report is never longer than Kubernetes keeps', () => {
  const by = { model: 'm'.repeat(63), version: '1', digest: `sha256:${'0'.repeat(64)}`, threshold: 0.7 };
  const side = {
    ...by,
    scored: 1,
    inconclusive: 0,
    unanswered: 0,
    why: 'y'.repeat(200),
    auc: 1,
    accuracy: 1,
  };
  const worst = Array.from({ length: 5 }, () => ({
    path: 'ü'.repeat(700),
    fake: true,
    canary: 0.1,
    stable: 0.2,
  }));
  const text = reportText({ files: 1, compared: 1, canary: side, stable: side, worst });
  assert.ok(Buffer.byteLength(text) < 4096);
  assert.equal(JSON.parse(text).worst.length, 2);
});
