/** The fetch command as a process of its own: killed, raced, without room, watched, and towards servers that need a certificate. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureAuthority, ensureCertificate } from '../../../hack/lib/certificates.ts';
import { freePorts } from '../../../hack/lib/free-ports.ts';
import { eventually } from '../environment.ts';
import { withBench } from './bench.ts';

interface Web {
  readonly origin: string;
  readonly asked: IncomingMessage[];
  close(): void;
}

async function serve(answer: RequestListener, tls?: { cert: Buffer; key: Buffer }): Promise<Web> {
  const asked: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    asked.push(request);
    answer(request, response);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${((server as Server).address() as AddressInfo).port}`,
    asked,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Ranges and a strong validator; a piece of `chunkBytes` every `everyMs` as long as `slow` says so. */
function archiveServer(content: Buffer, slow: () => boolean): RequestListener {
  const chunkBytes = 64 * 1024;
  const everyMs = 20;
  return async (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const resumes = start > 0 && request.headers['if-range'] === '"one"';
    const rest = content.subarray(resumes ? start : 0);
    response.writeHead(resumes ? 206 : 200, {
      etag: '"one"',
      'content-length': rest.length,
      ...(resumes ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    for (let from = 0; from < rest.length && !response.destroyed; from += chunkBytes) {
      response.write(rest.subarray(from, from + chunkBytes));
      if (slow()) await sleep(everyMs);
    }
    response.end();
  };
}

describe('the fetch process', () => {
  test('tells how far it is, and after kill -9 another one goes on where it was', async () => {
    await withBench(async (bench) => {
      let slow = true;
      const web = await serve(archiveServer(bench.archive, () => slow));
      const [port = 0] = await freePorts(1);
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      try {
        const first = bench.start(source, {}, `--progress-port=${port}`);
        const seen = await eventually('a part has come', async () => {
          const answer = await fetch(`http://127.0.0.1:${port}/progress`);
          const progress = (await answer.json()) as { receivedBytes: number; totalBytes: number | null };
          return progress.receivedBytes > 300_000 ? progress : undefined;
        });
        first.kill();
        assert.equal((await first.ended).code, null);
        assert.equal(seen.totalBytes, bench.archive.length);
        assert.ok(seen.receivedBytes < bench.archive.length);
        slow = false;
        const second = await bench.start(source, {}, `--progress-port=${port}`).ended;
        assert.equal(second.code, 0, second.stdout + second.stderr);
        assert.equal(web.asked.length, 2);
        const resumedAt = Number(/\d+/.exec(web.asked[1]?.headers.range ?? '')?.[0]);
        assert.ok(resumedAt >= seen.receivedBytes - 128 * 1024, `${resumedAt} of ${seen.receivedBytes}`);
        assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
      } finally {
        web.close();
      }
    });
  });

  test('does nothing twice when two of them want the same package on one volume', async () => {
    await withBench(async (bench) => {
      const web = await serve(archiveServer(bench.archive, () => true));
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      try {
        const both = await Promise.all([
          bench.start(source, {}, `--result=${join(bench.folder, 'one')}`).ended,
          bench.start(source, {}, `--result=${join(bench.folder, 'two')}`).ended,
        ]);
        assert.deepEqual(
          both.map(({ code }) => code),
          [0, 0],
          both.map(({ stdout }) => stdout).join('\n'),
        );
        assert.equal(web.asked.length, 1);
        assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
      } finally {
        web.close();
      }
    });
  });

  test('gives way to another one after it stood still, and harms nothing of it', async () => {
    await withBench(async (bench) => {
      let slow = true;
      const web = await serve(archiveServer(bench.archive, () => slow));
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      const first = bench.start(source, {}, `--result=${join(bench.folder, 'first')}`);
      try {
        await eventually('a part has come', async () => {
          const names = await readdir(bench.volume, { recursive: true });
          return names.some((name) => /^\.download-.*-archive$/.test(name)) || undefined;
        });
        process.kill(first.pid, 'SIGSTOP');
        slow = false;
        const second = await bench.start(source).ended;
        assert.equal(second.code, 0, second.stdout);
        process.kill(first.pid, 'SIGCONT');
        const { code, stdout } = await first.ended;
        assert.equal(code, 1, stdout);
        assert.match(stdout, /was taken over by another process/);
        const asked = web.asked.length;
        assert.equal((await bench.fetch(source)).code, 0);
        assert.equal(web.asked.length, asked);
        assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
      } finally {
        first.kill();
        web.close();
      }
    });
  });

  test('goes through the proxy that the environment names, and around it where it says so', async () => {
    await withBench(async (bench) => {
      const web = await serve(archiveServer(bench.archive, () => false));
      const passed: (string | undefined)[] = [];
      const proxy = createServer((asked, answer) => {
        passed.push(asked.url);
        const { method, headers, url = '' } = asked;
        request(url, { method, headers }, (found) => {
          answer.writeHead(found.statusCode ?? 502, found.headers);
          found.pipe(answer);
        }).end();
      });
      await once(proxy.listen(0, '127.0.0.1'), 'listening');
      const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      try {
        const around = await bench.start(source, { HTTP_PROXY, NO_PROXY: '127.0.0.1' }).ended;
        assert.deepEqual([around.code, passed], [0, []], around.stdout);
        await rm(bench.volume, { recursive: true });
        const through = await bench.start(source, { HTTP_PROXY }).ended;
        assert.deepEqual([through.code, passed], [0, [source.http.url]], through.stdout);
      } finally {
        web.close();
        proxy.closeAllConnections();
        proxy.close();
      }
    });
  });

  test('ends at once when it is told to, and keeps what came', async () => {
    await withBench(async (bench) => {
      const web = await serve(archiveServer(bench.archive, () => true));
      try {
        const running = bench.start({ http: { url: `${web.origin}/voice.tar.gz` } });
        await eventually('a part has come', async () => {
          const names = await readdir(bench.volume, { recursive: true });
          return names.some((name) => /^\.download-.*-archive$/.test(name));
        });
        process.kill(running.pid, 'SIGTERM');
        assert.equal((await running.ended).code, 143);
        assert.ok((await bench.onVolume()).some((name) => name.startsWith('.download-')));
      } finally {
        web.close();
      }
    });
  });

  test('trusts an authority that it is given, and says what to do without it', async () => {
    await withBench(async (bench) => {
      const authority = await ensureAuthority(join(bench.folder, 'ca'));
      const files = await ensureCertificate(join(bench.folder, 'ca'), authority, {
        name: 'web',
        commonName: 'web',
        hosts: ['127.0.0.1'],
      });
      const tls = { cert: await readFile(files.certificate), key: await readFile(files.key) };
      const web = await serve(
        archiveServer(bench.archive, () => false),
        tls,
      );
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      try {
        const refused = await bench.fetch(source);
        assert.deepEqual([refused.code, refused.error?.reason], [1, 'SourceUnreachable']);
        assert.match(refused.error?.message ?? '', /NODE_EXTRA_CA_CERTS/);
        const trusted = await bench.start(source, { NODE_EXTRA_CA_CERTS: authority.certificate }).ended;
        assert.equal(trusted.code, 0, trusted.stdout + trusted.stderr);
      } finally {
        web.close();
      }
    });
  });
});

describe('a redirect', () => {
  test('to another origin is followed without the credentials', async () => {
    await withBench(async (bench) => {
      const store = await serve(archiveServer(bench.archive, () => false));
      const web = await serve((_, response) =>
        response.writeHead(307, { location: `${store.origin}/signed?signature=hidden` }).end(),
      );
      try {
        const source = { http: { url: `${web.origin}/voice.tar.gz` } };
        const found = await bench.fetch(source, { SOURCE_AUTHORIZATION: 'Bearer a-secret' });
        assert.equal(found.code, 0, found.error?.message);
        assert.equal(web.asked[0]?.headers.authorization, 'Bearer a-secret');
        assert.equal(store.asked[0]?.headers.authorization, undefined);
      } finally {
        web.close();
        store.close();
      }
    });
  });

  test('to itself for ever is refused', async () => {
    await withBench(async (bench) => {
      const web = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
      try {
        const found = await bench.fetch({ http: { url: `${web.origin}/voice.tar.gz` } });
        assert.deepEqual([found.code, found.error?.reason], [2, 'SourceNotFound']);
        assert.match(found.error?.message ?? '', /redirects more than 5 times/);
      } finally {
        web.close();
      }
    });
  });
});

describe('a volume without room', () => {
  const mayMount = process.getuid?.() === 0;
  const skip = mayMount ? false : 'a small volume can only be mounted by root';
  for (const [name, length] of [
    ['that the source announces', true],
    ['that nobody announced', false],
  ] as const) {
    test(`is told from a download ${name}`, { skip }, async () => {
      await withBench(async (bench) => {
        await mkdir(bench.volume);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', bench.volume]);
        const web = await serve((_, response) => {
          if (length) response.setHeader('content-length', bench.archive.length);
          response.write(bench.archive);
          response.end();
        });
        try {
          const found = await bench.fetch({ http: { url: `${web.origin}/voice.tar.gz` } });
          assert.deepEqual([found.code, found.error?.reason], [1, 'VolumeFull'], found.error?.message);
          assert.match(
            found.error?.message ?? '',
            length ? /needs \d+ more bytes .* has \d+ left/ : /is full/,
          );
          if (length) assert.deepEqual(await bench.onVolume(), []);
        } finally {
          web.close();
          execFileSync('umount', [bench.volume]);
        }
      });
    });
  }
});

describe('a volume with room for one version only', () => {
  const skip = process.getuid?.() === 0 ? false : 'a small volume can only be mounted by root';
  test('gives up the beginning of the old one for the new one', { skip }, async () => {
    await withBench(async (bench) => {
      await mkdir(bench.volume);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=7m', 'tmpfs', bench.volume]);
      const kept = async () => {
        const names = await readdir(bench.volume, { recursive: true });
        const [name] = names.filter((path) => path.endsWith('-archive'));
        return name === undefined ? 0 : (await stat(join(bench.volume, name))).size;
      };
      const old = Buffer.alloc(2_500_000);
      let isOld = true;
      const web = await serve(async (asked, response) => {
        if (!isOld) return archiveServer(bench.archive, () => false)(asked, response);
        if (asked.headers.range !== undefined) return void response.writeHead(503).end();
        response.writeHead(200, { etag: '"old"', 'content-length': bench.archive.length }).write(old);
        await eventually('the old one is kept', async () => (await kept()) === old.length || undefined);
        response.destroy();
      });
      const source = { http: { url: `${web.origin}/voice.tar.gz` } };
      try {
        const broken = await bench.fetch(source);
        assert.deepEqual([broken.error?.reason, await kept()], ['SourceUnreachable', old.length]);
        isOld = false;
        const found = await bench.fetch(source);
        assert.equal(found.code, 0, found.error?.message);
      } finally {
        web.close();
        execFileSync('umount', [bench.volume]);
      }
    });
  });
});

describe('an archive that is mounted from a ConfigMap', () => {
  test('is installed', async () => {
    await withBench(async (bench) => {
      const path = join(bench.folder, 'package.tar.gz');
      await writeFile(path, bench.archive);
      const found = await bench.fetch({ configMap: { path } });
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
      assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
    });
  });

  test('that is not there is named', async () => {
    await withBench(async (bench) => {
      const found = await bench.fetch({ configMap: { path: join(bench.folder, 'nothing') } });
      assert.deepEqual([found.code, found.error?.reason], [2, 'SourceNotFound']);
      assert.match(
        found.error?.message ?? '',
        /nothing: there is no such file; check the ConfigMap and its key/,
      );
    });
  });
});
