import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { StartupError } from '../../errors.ts';
import { inTemporaryFolder } from '../../testing/media.ts';
import { writeAudioPackage } from '../../testing/packages.ts';
import { runFetch } from './command.ts';

const impatient = { attempts: 3, retryMs: 1, idleMs: 2_000, beatMs: 10, staleMs: 300 };
const limit = 1_000_000;
let server: Server;
let origin: string;
/** What the server does with the next requests; the last one stays. */
let behaviours: ((request: IncomingMessage, response: ServerResponse) => void)[] = [];
let requests: IncomingMessage[] = [];
/** The volume of the present fixture. */
let target = '';
/** What it sends as Authorization. */
let secret = '';

before(async () => {
  server = createServer((request, response) => {
    requests.push(request);
    const behaviour = behaviours.length > 1 ? behaviours.shift() : behaviours[0];
    behaviour?.(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

interface Fixture {
  readonly folder: string;
  readonly destination: string;
  readonly model: string;
  readonly digest: string;
  /** The package's files at the archive's root. */
  readonly archive: Buffer;
  fetch(
    source: object,
    ...more: string[]
  ): Promise<{ code: number; result: Record<string, never> & FetchResult }>;
}

interface FetchResult {
  readonly digest?: string;
  readonly sizeBytes?: number;
  readonly card?: { readonly name: string; readonly evaluation: readonly object[] };
  readonly error?: { readonly reason: string; readonly message: string };
}

/** A valid package, an empty volume and a way to run the command between them. */
function withFixture<T>(action: (fixture: Fixture) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    behaviours = [];
    requests = [];
    const model = join(folder, 'builtin', 'voice');
    const digest = await writeAudioPackage(model);
    secret = 'Bearer secret';
    const archive = execFileSync('tar', ['-cz', '-C', model, '.']);
    const destination = join(folder, 'volume');
    target = destination;
    return action({
      folder,
      destination,
      model,
      digest,
      archive,
      fetch: async (source, ...more) => {
        const result = join(folder, 'result');
        const args = [
          '--source',
          JSON.stringify(source),
          '--destination',
          destination,
          '--result',
          result,
          ...more,
        ];
        const code = await runFetch(
          args,
          { MODELS_DIR: join(folder, 'builtin'), SOURCE_AUTHORIZATION: secret },
          impatient,
        );
        return { code, result: JSON.parse(await readFile(result, 'utf8')) };
      },
    });
  });
}

const sourceAt = (path: string) => ({ http: { url: `${origin}${path}` } });

/** Serves the bytes with ranges and a strong validator, as object stores do; breaks off after `cutAfter` bytes of the answer. */
function serve(bytes: Buffer, { etag = '"one"', cutAfter = Number.POSITIVE_INFINITY, ranges = true } = {}) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const resumes = ranges && asked !== null && request.headers['if-range'] === etag;
    const start = resumes ? Number(asked[1]) : 0;
    response.writeHead(resumes ? 206 : 200, {
      etag,
      'content-length': bytes.length - start,
      ...(resumes ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
    });
    if (cutAfter >= bytes.length - start) response.end(bytes.subarray(start));
    else {
      response.write(bytes.subarray(start, start + cutAfter));
      void cutOnceKept(response, start + cutAfter);
    }
  };
}

/** Bytes that a broken connection brings are only kept once they were read from it. */
async function cutOnceKept(response: ServerResponse, bytes: number): Promise<void> {
  const deadline = performance.now() + 30_000;
  while ((await partialBytes()) < bytes && performance.now() < deadline) await sleep(2);
  response.destroy();
}

/** Of the largest download on the volume. */
async function partialBytes(): Promise<number> {
  const names = await readdir(target, { recursive: true }).catch(() => []);
  const sizes = names
    .filter((name) => /^\.download-[^/]*\/[^.]*$/.test(name))
    .map((name) =>
      stat(join(target, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return Math.max(0, ...(await Promise.all(sizes)));
}

const status = (code: number) => (_request: IncomingMessage, response: ServerResponse) =>
  response.writeHead(code).end('no');

async function archiveOf(
  ...entries: readonly (Pick<Header, 'name'> & Partial<Header> & { content?: string | Buffer })[]
): Promise<Buffer> {
  const packing = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) packing.entry(header);
    else packing.entry(header, content);
  }
  packing.finalize();
  return gzipSync(await buffer(packing));
}

async function volume(destination: string): Promise<string[]> {
  return (await readdir(destination).catch(() => [])).sort();
}

describe('fetch from the network', () => {
  test('brings a verified package to its final name and reports its card', async () => {
    await withFixture(async ({ fetch, archive, digest, destination }) => {
      behaviours = [serve(archive)];
      const { code, result } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.equal(code, 0);
      assert.equal(result.digest, digest);
      assert.ok((result.sizeBytes ?? 0) > 1000);
      assert.deepEqual([result.card?.name, result.card?.evaluation.length], ['test-audio', 1]);
      assert.deepEqual(await volume(destination), [digest.replace(':', '-')]);
      assert.equal(requests[0]?.headers.authorization, 'Bearer secret');
    });
  });

  test('takes a secret without the newline that it was made with', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      behaviours = [serve(archive)];
      secret = 'Bearer secret\n';
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      assert.equal(requests[0]?.headers.authorization, 'Bearer secret');
    });
  });

  test('refuses a secret that no header can carry, without a word of it', async () => {
    await withFixture(async ({ fetch, digest }) => {
      secret = 'Bearer one\nBearer two';
      const { code, result } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.deepEqual([code, result.error?.reason], [2, 'SourceUnauthorized']);
      assert.doesNotMatch(result.error?.message ?? '', /one|two/);
      assert.equal(requests.length, 0);
    });
  });

  test('goes on where a connection broke, again and again', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      const step = Math.ceil(archive.length / 6);
      behaviours = [serve(archive, { cutAfter: step })];
      const { code } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.equal(code, 0);
      assert.ok(requests.length >= 6, `${requests.length} requests`);
      const starts = requests.slice(1).map(({ headers }) => Number(/\d+/.exec(headers.range ?? '')?.[0]));
      assert.deepEqual(
        starts,
        [...starts].sort((a, b) => a - b),
      );
    });
  });

  test('goes on in a new process', async () => {
    await withFixture(async ({ fetch, archive, digest, destination }) => {
      behaviours = [serve(archive, { cutAfter: 1000 }), status(503)];
      const first = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.deepEqual([first.code, first.result.error?.reason], [1, 'SourceUnreachable']);
      requests = [];
      behaviours = [serve(archive)];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      assert.equal(requests[0]?.headers.range, 'bytes=1000-');
      assert.deepEqual(await volume(destination), [digest.replace(':', '-')]);
    });
  });

  test('begins again when the source has changed meanwhile', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      behaviours = [
        serve(Buffer.alloc(archive.length, 1), { etag: '"old"', cutAfter: 500 }),
        serve(archive, { etag: '"new"' }),
      ];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
    });
  });

  test('begins again when the source resumes another version, whatever was asked', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      const heedless = (request: IncomingMessage, response: ServerResponse) => {
        request.headers['if-range'] = '"new"';
        serve(archive, { etag: '"new"' })(request, response);
      };
      behaviours = [serve(Buffer.alloc(archive.length, 1), { etag: '"old"', cutAfter: 500 }), heedless];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      assert.deepEqual(
        requests.map(({ headers }) => headers.range),
        [undefined, 'bytes=500-', undefined],
      );
    });
  });

  test('asks on where the source sends a shorter part than was asked for', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      const miserly = (request: IncomingMessage, response: ServerResponse) => {
        const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
        const part = archive.subarray(start, start + Math.ceil(archive.length / 3));
        response.writeHead(206, {
          etag: '"one"',
          'content-length': part.length,
          'content-range': `bytes ${start}-${start + part.length - 1}/${archive.length}`,
        });
        response.end(part);
      };
      behaviours = [serve(archive, { cutAfter: 500 }), miserly];
      const { code, result } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.equal(code, 0, result.error?.message);
      assert.equal(requests.length, 4);
    });
  });

  test('begins again when the date of a source that resumes whatever was asked is another one', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      const dated = (bytes: Buffer, day: number, cutAfter?: number) => {
        const answer = serve(bytes, { etag: 'W/"one"', ...(cutAfter === undefined ? {} : { cutAfter }) });
        return (request: IncomingMessage, response: ServerResponse) => {
          request.headers['if-range'] = 'W/"one"';
          response.setHeader('last-modified', `Fri, 0${day} May 2026 10:00:00 GMT`);
          answer(request, response);
        };
      };
      behaviours = [dated(Buffer.alloc(archive.length, 1), 1, 500), dated(archive, 8)];
      const { code, result } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.equal(code, 0, result.error?.message);
      assert.deepEqual(
        requests.map(({ headers }) => headers.range),
        [undefined, 'bytes=500-', undefined],
      );
    });
  });

  const unsaid = (fixture: Fixture, head: Readonly<Record<string, string>> | undefined) => {
    behaviours = [
      async ({ method, url = '' }, response) => {
        const file = url.replace(/^.*\/resolve\/main\//, '');
        if (method === 'HEAD') return void response.writeHead(head === undefined ? 405 : 302, head).end();
        const content = await readFile(join(fixture.model, file));
        response.writeHead(200);
        response.write(content.subarray(0, 10));
        response.end(content.subarray(10));
      },
    ];
    return { huggingFace: { repository: 'team/voice', endpoint: origin } };
  };
  const heads = [
    { name: 'whose sizes nobody tells', head: undefined },
    {
      name: 'of a size that is no number',
      head: { 'x-linked-size': 'large', location: 'http://127.0.0.2/' },
    },
  ];
  for (const { name, head } of heads) {
    test(`holds all files together against the limit in a folder ${name}`, async () => {
      await withFixture(async (fixture) => {
        const { fetch, model, digest, destination } = fixture;
        const source = unsaid(fixture, head);
        const sizes = await Promise.all(
          ['model.yaml', 'classifier.onnx', 'golden/square.wav'].map(
            async (file) => (await stat(join(model, file))).size,
          ),
        );
        const total = sizes.reduce((sum, size) => sum + size);
        const refused = await fetch(source, '--digest', digest, '--max-bytes', String(total - 1));
        assert.deepEqual([refused.code, refused.result.error?.reason], [2, 'PackageTooLarge']);
        assert.deepEqual(await volume(destination), []);
        assert.equal((await fetch(source, '--digest', digest, '--max-bytes', String(total))).code, 0);
      });
    });
  }

  test('gives up on a source that announces more than it sends', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      const promising = (_: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': archive.length + 10 });
        response.write(archive);
        void cutOnceKept(response, archive.length);
      };
      behaviours = [promising];
      const { code, result } = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      assert.deepEqual([code, result.error?.reason], [1, 'SourceUnreachable']);
    });
  });

  test('takes what a server wrongly calls compressed as it is', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      behaviours = [(_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(archive)];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
    });
  });

  test('begins again when the source cannot resume', async () => {
    await withFixture(async ({ fetch, archive, digest }) => {
      behaviours = [serve(archive, { cutAfter: 500, ranges: false }), serve(archive, { ranges: false })];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
    });
  });

  test('takes a package that is in one folder of the archive', async () => {
    await withFixture(async ({ fetch, folder, digest }) => {
      behaviours = [serve(execFileSync('tar', ['-cz', '-C', join(folder, 'builtin'), 'voice']))];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
    });
  });

  test('removes old downloads of other packages, and resumes its own however old', async () => {
    await withFixture(async ({ fetch, archive, digest, destination }) => {
      behaviours = [serve(archive, { cutAfter: 300 }), status(500)];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 1);
      const [own = ''] = await volume(destination);
      const names = [
        '.download-other.tar.gz',
        '.download-other.tar.gz.json',
        '.stage-other',
        '.download-young.tar.gz',
      ];
      for (const name of names) await writeFile(join(destination, name), 'x');
      const left = `.stage-${digest.replace(':', '-')}-killed`;
      await writeFile(join(destination, left), 'young');
      const longAgo = new Date(Date.now() - 7 * 3600 * 1000);
      const parts = (await volume(join(destination, own))).map((name) => join(own, name));
      for (const name of [own, ...parts, ...names.slice(0, 3)])
        await utimes(join(destination, name), longAgo, longAgo);
      requests = [];
      behaviours = [serve(archive)];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      assert.equal(requests[0]?.headers.range, 'bytes=300-');
      assert.deepEqual(await volume(destination), ['.download-young.tar.gz', digest.replace(':', '-')]);
    });
  });

  test('keeps only the files that the manifest lists', async () => {
    await withFixture(async ({ fetch, model, digest, destination }) => {
      await writeFile(join(model, 'weights.bin'), 'covered by no digest');
      await writeFile(join(model, 'golden/notes.txt'), 'covered by no digest');
      behaviours = [serve(execFileSync('tar', ['-cz', '-C', model, '.']))];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      const installed = join(destination, digest.replace(':', '-'));
      assert.deepEqual(await volume(installed), ['classifier.onnx', 'golden', 'model.yaml']);
      assert.deepEqual(await volume(join(installed, 'golden')), ['square.wav']);
      assert.deepEqual(await volume(destination), [digest.replace(':', '-')]);
    });
  });

  test('asks nobody when the package is there, and replaces a damaged one unless it is told not to', async () => {
    await withFixture(async ({ fetch, archive, digest, destination }) => {
      behaviours = [serve(archive)];
      await fetch(sourceAt('/voice.tar.gz'), '--digest', digest);
      requests = [];
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
      assert.equal(requests.length, 0);
      await writeFile(join(destination, digest.replace(':', '-'), 'classifier.onnx'), 'damaged');
      const found = await fetch(sourceAt('/voice.tar.gz'), '--digest', digest, '--no-repair');
      assert.deepEqual([found.code, found.result.error?.reason], [2, 'DigestMismatch']);
      assert.match(found.result.error?.message ?? '', /classifier\.onnx: .*fetch the package again$/);
      assert.equal(requests.length, 0);
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest, '--repair')).code, 0);
      assert.equal(requests.length, 1);
      assert.equal((await fetch(sourceAt('/voice.tar.gz'), '--digest', digest)).code, 0);
    });
  });

  const refusals: {
    name: string;
    answer: (fixture: Fixture) => Promise<(typeof behaviours)[0]>;
    more?: string[];
    code: number;
    reason: string;
    message?: RegExp;
  }[] = [
    {
      name: 'a missing file',
      answer: async () => status(404),
      code: 2,
      reason: 'SourceNotFound',
      message: /answered 404 Not Found; check the address/,
    },
    { name: 'a refused login', answer: async () => status(403), code: 2, reason: 'SourceUnauthorized' },
    { name: 'a server in trouble', answer: async () => status(500), code: 1, reason: 'SourceUnreachable' },
    {
      name: 'a server that asks to wait',
      answer: async () => status(429),
      code: 1,
      reason: 'SourceUnreachable',
    },
    {
      name: 'a file above the limit',
      answer: async ({ archive }) => serve(archive),
      more: ['--max-bytes', '500'],
      code: 2,
      reason: 'PackageTooLarge',
    },
    {
      name: 'a file of unknown length above the limit',
      answer: async () => (_, response) => response.writeHead(200).end(Buffer.alloc(2 * limit)),
      code: 2,
      reason: 'PackageTooLarge',
    },
    {
      name: 'a bomb',
      answer: async () => serve(await archiveOf({ name: 'model.yaml', content: Buffer.alloc(2 * limit) })),
      code: 2,
      reason: 'PackageTooLarge',
    },
    {
      name: 'a bomb without an entry',
      answer: async () => serve(gzipSync(Buffer.alloc(20 * 1024 * 1024))),
      code: 2,
      reason: 'PackageTooLarge',
    },
    {
      name: 'a file that is a folder too',
      answer: async () =>
        serve(await archiveOf({ name: 'golden', content: 'x' }, { name: 'golden/a.wav', content: 'y' })),
      code: 2,
      reason: 'InvalidPackage',
      message: /"golden\/a\.wav" cannot be a file beside what came before/,
    },
    {
      name: 'what is not an archive',
      answer: async () => serve(Buffer.from('<html>login</html>')),
      code: 2,
      reason: 'InvalidPackage',
      message: /not a whole \.tar\.gz/,
    },
    {
      name: 'a cut archive',
      answer: async ({ archive }) => serve(archive.subarray(0, archive.length - 50)),
      code: 2,
      reason: 'InvalidPackage',
    },
    {
      name: 'another package',
      answer: async ({ folder, model }) => serve(await otherPackage(folder, model)),
      code: 2,
      reason: 'DigestMismatch',
    },
    {
      name: 'an archive without a manifest',
      answer: async () => serve(await archiveOf({ name: 'README.md', content: 'x' })),
      code: 2,
      reason: 'InvalidPackage',
    },
    {
      name: 'a symbolic link',
      answer: async () =>
        serve(await archiveOf({ name: 'model.yaml', type: 'symlink', linkname: '/etc/passwd' })),
      code: 2,
      reason: 'InvalidPackage',
      message: /is a symlink/,
    },
    {
      name: 'a hard link',
      answer: async () =>
        serve(await archiveOf({ name: 'model.yaml', type: 'link', linkname: '/etc/passwd' })),
      code: 2,
      reason: 'InvalidPackage',
    },
    {
      name: 'a device',
      answer: async () => serve(await archiveOf({ name: 'model.yaml', type: 'character-device' })),
      code: 2,
      reason: 'InvalidPackage',
    },
    {
      name: 'a parent path',
      answer: async () => serve(await archiveOf({ name: '../model.yaml', content: 'x' })),
      code: 2,
      reason: 'InvalidPackage',
      message: /leads out of the package/,
    },
    {
      name: 'an absolute path',
      answer: async () => serve(await archiveOf({ name: '/tmp/model.yaml', content: 'x' })),
      code: 2,
      reason: 'InvalidPackage',
    },
    {
      name: 'a file that comes twice',
      answer: async () =>
        serve(await archiveOf({ name: 'model.yaml', content: 'x' }, { name: './model.yaml', content: 'y' })),
      code: 2,
      reason: 'InvalidPackage',
    },
  ];
  for (const {
    name,
    answer,
    more = ['--max-bytes', String(limit)],
    code,
    reason,
    message = /./,
  } of refusals) {
    test(`refuses ${name} and leaves nothing on the volume`, async () => {
      await withFixture(async (fixture) => {
        behaviours = [await answer(fixture)];
        const found = await fixture.fetch(
          sourceAt('/voice.tar.gz?signature=hidden'),
          '--digest',
          fixture.digest,
          ...more,
        );
        assert.deepEqual(
          [found.code, found.result.error?.reason],
          [code, reason],
          found.result.error?.message,
        );
        assert.match(found.result.error?.message ?? '', message);
        assert.doesNotMatch(found.result.error?.message ?? '', /hidden|secret/);
        assert.deepEqual(await volume(fixture.destination), []);
      });
    });
  }

  test('of an address where nobody listens is worth another try', async () => {
    await withFixture(async ({ fetch, digest }) => {
      const { code, result } = await fetch(
        { http: { url: 'http://127.0.0.1:1/x.tar.gz' } },
        '--digest',
        digest,
      );
      assert.deepEqual([code, result.error?.reason], [1, 'SourceUnreachable']);
      assert.match(result.error?.message ?? '', /ECONNREFUSED|bad port/);
    });
  });
});

async function otherPackage(folder: string, model: string): Promise<Buffer> {
  const other = join(folder, 'other');
  await cp(model, other, { recursive: true });
  await writeAudioPackage(other, { version: '9.9.9' });
  return execFileSync('tar', ['-cz', '-C', other, '.']);
}

describe('fetch of a builtin', () => {
  test('copies what the manifest lists, whatever else lies beside it', async () => {
    await withFixture(async ({ fetch, model, digest, destination }) => {
      await writeFile(join(model, 'notes.txt'), 'stay here');
      const { code, result } = await fetch({ builtin: { name: 'voice' } });
      assert.deepEqual([code, result.digest], [0, digest]);
      const installed = join(destination, digest.replace(':', '-'));
      assert.deepEqual(await volume(installed), ['classifier.onnx', 'golden', 'model.yaml']);
      assert.equal((await fetch({ builtin: { name: 'voice' } })).code, 0);
    });
  });

  test('that is not in the image names those that are', async () => {
    await withFixture(async ({ fetch }) => {
      const { code, result } = await fetch({ builtin: { name: 'nobody' } });
      assert.deepEqual([code, result.error?.reason], [2, 'UnknownBuiltin']);
      assert.match(result.error?.message ?? '', /this image has: voice/);
    });
  });

  test('of another digest is refused', async () => {
    await withFixture(async ({ fetch }) => {
      const { code, result } = await fetch(
        { builtin: { name: 'voice' } },
        '--digest',
        `sha256:${'0'.repeat(64)}`,
      );
      assert.deepEqual([code, result.error?.reason], [2, 'DigestMismatch']);
    });
  });
});

describe('fetch from a volume', () => {
  test('verifies the package where it lies and copies nothing', async () => {
    await withFixture(async ({ fetch, model, digest, destination }) => {
      await mkdir(destination);
      await cp(model, join(destination, 'mine/voice'), { recursive: true });
      const { code, result } = await fetch({ pvc: { path: 'mine/voice' } }, '--digest', digest);
      assert.deepEqual([code, result.digest], [0, digest]);
      assert.deepEqual(await volume(destination), ['mine']);
    });
  });

  const refused: [string, string][] = [
    ['../builtin/voice', 'InvalidPackage'],
    ['/etc', 'InvalidPackage'],
    ['missing', 'SourceNotFound'],
    ['file/missing', 'SourceNotFound'],
    ['file', 'SourceNotFound'],
    ['empty', 'InvalidPackage'],
  ];
  for (const [path, reason] of refused) {
    test(`refuses the path ${path}: ${reason}`, async () => {
      await withFixture(async ({ fetch, destination }) => {
        await mkdir(join(destination, 'empty'), { recursive: true });
        await writeFile(join(destination, 'file'), '');
        const { code, result } = await fetch({ pvc: { path } });
        assert.deepEqual([code, result.error?.reason], [2, reason]);
      });
    });
  }
});

describe('the arguments of fetch', () => {
  const rows = [
    { name: 'without a source', args: [] },
    { name: 'with a source that is no JSON', args: ['--source', 'voice'] },
    { name: 'with two sources', args: ['--source', '{"builtin":{"name":"a"},"pvc":{"path":"b"}}'] },
    {
      name: 'with an address of another scheme',
      args: ['--source', '{"http":{"url":"file:///etc/passwd"}}'],
    },
    {
      name: 'with a bucket that leads to another host',
      args: ['--source', '{"s3":{"bucket":"example.org/x","key":"a"}}'],
    },
    {
      name: 'with a repository that leads upwards',
      args: ['--source', '{"huggingFace":{"repository":"../voice"}}'],
    },
    {
      name: 'with a revision that leads upwards',
      args: ['--source', '{"huggingFace":{"repository":"team/voice","revision":".."}}'],
    },
    { name: 'with a digest that is none', args: ['--source', '{"builtin":{"name":"a"}}', '--digest', 'abc'] },
    { name: 'with an unknown flag', args: ['--sauce', '{}'] },
  ];
  for (const { name, args } of rows) {
    test(`${name} are refused in one line`, async () => {
      await assert.rejects(
        runFetch(args, {}),
        (error: StartupError) =>
          error instanceof StartupError && error.exitCode === 2 && !error.message.includes('\n'),
      );
    });
  }

  test('name a result file that cannot be written', async () => {
    await withFixture(async ({ fetch, folder }) => {
      const result = join(folder, 'nowhere/result');
      await assert.rejects(
        fetch({ builtin: { name: 'voice' } }, '--result', result),
        /nowhere\/result: cannot be written .*; choose another --result$/,
      );
    });
  });

  test('never let the result exceed what Kubernetes keeps', async () => {
    await withFixture(async ({ fetch, model, destination, folder }) => {
      const row = { dataset: 'd'.repeat(900), metric: 'AUC', value: 0.5, note: 'n'.repeat(900) };
      const texts = { license: 'x', intendedUse: 'x', limitations: 'x', trainingData: 'x' };
      const evaluation = Array.from({ length: 8 }, () => ({ ...row }));
      await writeAudioPackage(model, {
        manifest: { card: { ...texts, status: 'demonstration', evaluation } },
      });
      const { code, result } = await fetch({ builtin: { name: 'voice' } });
      assert.equal(code, 0);
      assert.equal(result.card?.evaluation.length, 2);
      assert.ok((await readFile(join(folder, 'result'))).length < 4096);
      await rm(destination, { recursive: true });
    });
  });
});
