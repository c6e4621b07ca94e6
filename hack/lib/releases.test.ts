import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from './process.ts';
import {
  ChecksumMismatch,
  download,
  HostNotReached,
  mirrored,
  publishedDigest,
  releaseOf,
} from './releases.ts';
import { type Binary, CLUSTER_BINARIES, ensureBinaries, pinnedVersions } from './toolchain.ts';

const VERSIONS = {
  kubernetes: 'v1.36.3',
  etcd: 'v3.7.3',
  containerd: 'v2.4.2',
  coredns: 'v1.15.0',
  helm: 'v4.3.1',
  kind: 'v0.33.0',
  metricsServer: 'v0.9.0',
};
const DIGEST = 'a'.repeat(64);

describe('releaseOf', () => {
  const rows: [string, string, string][] = [
    [
      'kubelet',
      'https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubelet',
      'https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubelet.sha256',
    ],
    [
      'etcd',
      'https://github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-arm64.tar.gz',
      'https://github.com/etcd-io/etcd/releases/download/v3.7.3/SHA256SUMS',
    ],
    [
      'ctr',
      'https://github.com/containerd/containerd/releases/download/v2.4.2/containerd-static-2.4.2-linux-arm64.tar.gz',
      'https://github.com/containerd/containerd/releases/download/v2.4.2/containerd-static-2.4.2-linux-arm64.tar.gz.sha256sum',
    ],
    [
      'coredns',
      'https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_arm64.tgz',
      'https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_arm64.tgz.sha256',
    ],
    [
      'helm',
      'https://get.helm.sh/helm-v4.3.1-linux-arm64.tar.gz',
      'https://get.helm.sh/helm-v4.3.1-linux-arm64.tar.gz.sha256sum',
    ],
  ];
  for (const [program, url, checksumUrl] of rows) {
    it(`finds ${program} where its project publishes it`, () => {
      const release = releaseOf(program, VERSIONS, 'arm64');
      assert.deepEqual([release?.url, release?.checksumUrl], [url, checksumUrl]);
    });
  }
  it('knows that metrics-server is published as an image only', () => {
    assert.equal(releaseOf('metrics-server', VERSIONS, 'amd64'), undefined);
  });
});

describe('publishedDigest', () => {
  const rows: [string, string, string | undefined][] = [
    ['a bare digest', `${DIGEST}\n`, DIGEST],
    ['the line of the file among several', `${'b'.repeat(64)}  other\n${DIGEST}  file.tgz\n`, DIGEST],
    ['a line in binary mode with a folder', `${DIGEST} *release/file.tgz\n`, DIGEST],
    ['nothing where only other files are named', `${DIGEST}  other\n`, undefined],
    ['nothing in an error page', '<html>not found</html>', undefined],
  ];
  for (const [name, text, digest] of rows) {
    it(`reads ${name}`, () => assert.equal(publishedDigest(text, 'file.tgz'), digest));
  }
});

it('a mirror has each host as its first folder', () => {
  assert.equal(
    mirrored('https://get.helm.sh/x.tgz', 'http://mirror:8080/'),
    'http://mirror:8080/get.helm.sh/x.tgz',
  );
  assert.equal(mirrored('https://get.helm.sh/x.tgz', undefined), 'https://get.helm.sh/x.tgz');
});

describe('download from a server laid out as the release hosts are', () => {
  let root: string;
  let server: Server;
  let mirror: string;
  const target = () => mkdtempSync(join(root, 'target-'));

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'releases-'));
    for (const program of CLUSTER_BINARIES) await publish(root, program);
    server = createServer((request, response) => {
      const file = join(root, 'www', request.url ?? '');
      if (existsSync(file)) response.end(readFileSync(file));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    mirror = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  after(() => {
    server.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('takes every published program from it, executable, and builds only the others', async () => {
    const directory = target();
    const built: Binary[] = [];
    const build = async (names: readonly Binary[]) => {
      built.push(...names);
      for (const name of names) writeFileSync(join(directory, name), '');
    };
    await ensureBinaries([...CLUSTER_BINARIES], () => undefined, { mirror, directory, build });
    assert.deepEqual(built.sort(), ['metrics-server', 'pause', 'volume-provisioner']);
    for (const program of CLUSTER_BINARIES.filter((name) => !built.includes(name))) {
      assert.equal((await run(join(directory, program), [])).trim(), program);
    }
  });

  it('refuses a file that differs from its published checksum, says so, and builds the program', async () => {
    const release = releaseOf('helm', pinnedVersions(), process.arch === 'x64' ? 'amd64' : process.arch);
    assert.ok(release);
    appendFileSync(join(root, 'www', release.url.replace('https://', '')), 'tampered');
    const directory = target();
    await assert.rejects(download(['helm'], release, directory, { mirror }), ChecksumMismatch);
    assert.deepEqual(readdirSync(directory), []);

    const said: string[] = [];
    const build = async () => writeFileSync(join(directory, 'helm'), 'built');
    const options = { mirror, directory, build };
    await ensureBinaries(['helm'], (message) => said.push(message), options);
    assert.match(
      said.join('\n'),
      /refused \S+helm\S+: its SHA-256 is \w{64}, published is \w{64}: building instead/,
    );
    assert.equal(readFileSync(join(directory, 'helm'), 'utf8'), 'built');
  });

  it('tells a host that does not answer from a file that is not there', async () => {
    const release = releaseOf('helm', pinnedVersions(), 'amd64');
    assert.ok(release);
    await assert.rejects(
      download(['helm'], release, target(), { mirror: 'http://127.0.0.1:9' }),
      HostNotReached,
    );
    const missing = { ...release, checksumUrl: `${release.url}.none` };
    await assert.rejects(download(['helm'], missing, target(), { mirror }), /answered 404/);
  });
});

/** Publishes a program that prints its name, packed as its project packs it. */
async function publish(root: string, program: Binary): Promise<void> {
  for (const arch of ['amd64', 'arm64']) {
    const release = releaseOf(program, pinnedVersions(), arch);
    if (!release) continue;
    const file = join(root, 'www', release.url.replace('https://', ''));
    mkdirSync(dirname(file), { recursive: true });
    const packed = release.members ?? {};
    const content = join(root, 'content', release.url);
    for (const [name, path] of Object.entries(packed)) {
      mkdirSync(dirname(join(content, path)), { recursive: true });
      writeFileSync(join(content, path), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
    }
    if (release.members) await run('tar', ['-czf', file, '-C', content, ...Object.values(packed)]);
    else writeFileSync(file, `#!/bin/sh\necho ${program}\n`);
    const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
    const checksums = join(root, 'www', release.checksumUrl.replace('https://', ''));
    appendFileSync(checksums, release.members ? `${digest}  ${basename(file)}\n` : digest);
  }
}
