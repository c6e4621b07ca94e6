/** The fetch command against the CNCF's registry, with passwords and with tokens. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ArtifactLayer, digestOf, Pusher, titleAnnotation } from './artifacts.ts';
import { type Bench, breakingWire, GRAPH_BYTES, tarOf, withBench } from './bench.ts';
import { type RunningServer, startServer } from './servers.ts';
import { issuer, service, startTokenService, type TokenService } from './token-service.ts';

const password = 'a-registry-password';
/** `reader` with the password above, as `htpasswd -nbB` writes it. */
const passwordFile = 'reader:$2a$05$jtIWZmZWB63IRaFUKdDjPe56klNPvkTMRmav08XELtepDGwXaYZ16\n';
const basic = `Basic ${Buffer.from(`reader:${password}`).toString('base64')}`;
const imageLayer = 'application/vnd.oci.image.layer.v1.tar';
const nobodysFile = 'application/vnd.example.file';

let server: RunningServer;
let host: string;
let pusher: Pusher;

before(async () => {
  server = await startServer('registry', async (port, folder) => {
    await writeFile(join(folder, 'passwords'), passwordFile);
    return launch(port, folder, { htpasswd: { realm: 'packages', path: join(folder, 'passwords') } });
  });
  host = `127.0.0.1:${server.port}`;
  pusher = new Pusher(`http://${host}`, basic);
});
after(() => server.stop());

async function launch(port: number, folder: string, auth: object) {
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'blobs') } },
    http: { addr: `127.0.0.1:${port}`, secret: 'not-one' },
    auth,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  return { args: ['serve', join(folder, 'config.json')], env: { OTEL_TRACES_EXPORTER: 'none' } };
}

/** The environment of a pod with a Secret of type kubernetes.io/dockerconfigjson. */
async function login({ folder }: Bench, entry: object, where = host): Promise<Record<string, string>> {
  const path = join(folder, 'login');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'config.json'), JSON.stringify({ auths: { [where]: entry } }));
  return { DOCKER_CONFIG: path };
}
const reader = { auth: Buffer.from(`reader:${password}`).toString('base64') };

const at = (name: string) => ({ oci: { reference: `${host}/${name}`, plainHttp: true } });

const fileLayers = ({ files }: Bench): ArtifactLayer[] =>
  [...files].map(([name, content]) => ({
    mediaType: nobodysFile,
    content,
    annotations: { [titleAnnotation]: name },
  }));

const archiveLayer = (content: Buffer, compression = '+gzip'): ArtifactLayer => ({
  mediaType: `${imageLayer}${compression}`,
  content,
});

describe('fetch from a registry', () => {
  const shapes: { name: string; layers: (bench: Bench) => Promise<ArtifactLayer[]> }[] = [
    { name: 'an artifact with a layer for each file', layers: async (bench) => fileLayers(bench) },
    {
      name: 'files and a folder as clients push them by default',
      layers: async ({ model, files }) => [
        {
          mediaType: imageLayer,
          content: files.get('model.yaml') ?? Buffer.of(),
          annotations: { [titleAnnotation]: 'model.yaml' },
        },
        {
          mediaType: imageLayer,
          content: files.get('classifier.onnx') ?? Buffer.of(),
          annotations: { [titleAnnotation]: 'classifier.onnx' },
        },
        {
          ...archiveLayer(tarOf(model, ['golden'])),
          annotations: { [titleAnnotation]: 'golden', 'io.deis.oras.content.unpack': 'true' },
        },
      ],
    },
    { name: 'an image of one layer', layers: async ({ archive }) => [archiveLayer(archive)] },
    {
      name: 'one archive under its name',
      layers: async ({ archive }) => [
        { mediaType: nobodysFile, content: archive, annotations: { [titleAnnotation]: 'voice.tar.gz' } },
      ],
    },
    {
      name: 'an image whose later layer replaces a file of an earlier one',
      layers: async ({ folder, model, files }) => {
        await mkdir(join(folder, 'old'));
        await writeFile(join(folder, 'old/classifier.onnx'), 'an older one');
        await writeFile(join(folder, 'old/model.yaml'), files.get('model.yaml') ?? '');
        return [
          archiveLayer(tarOf(join(folder, 'old'), ['.'], ''), ''),
          archiveLayer(tarOf(model, ['classifier.onnx', 'golden'])),
        ];
      },
    },
    {
      name: 'a ModelPack artifact of raw files and archives',
      layers: async ({ model, files }) => [
        {
          mediaType: 'application/vnd.cncf.model.weight.v1.raw',
          content: files.get('classifier.onnx') ?? Buffer.of(),
          annotations: { 'org.cncf.model.filepath': 'classifier.onnx' },
        },
        {
          mediaType: 'application/vnd.cncf.model.weight.config.v1.raw',
          content: files.get('model.yaml') ?? Buffer.of(),
          annotations: { 'org.cncf.model.filepath': 'model.yaml' },
        },
        {
          mediaType: 'application/vnd.cncf.model.dataset.v1.tar',
          content: tarOf(model, ['golden'], ''),
          annotations: { 'org.cncf.model.filepath': 'golden' },
        },
      ],
    },
  ];
  for (const [index, { name, layers }] of shapes.entries()) {
    test(`takes ${name}`, async () => {
      await withBench(async (bench) => {
        await pusher.artifact(`shapes/number-${index}`, 'one', await layers(bench));
        const found = await bench.fetch(at(`shapes/number-${index}:one`), await login(bench, reader));
        assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
        assert.deepEqual(await bench.onVolume(), [bench.digest.replace(':', '-')]);
      });
    });
  }

  test('goes from an index to its only manifest, past attestations', async () => {
    await withBench(async (bench) => {
      const manifest = await pusher.artifact('indexed', 'manifest', fileLayers(bench));
      const attestation = await pusher.artifact('indexed', 'attestation', [archiveLayer(bench.archive)]);
      await pusher.index('indexed', 'latest', [
        { ...attestation, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
        { ...manifest, platform: { os: 'linux', architecture: 's390x' } },
      ]);
      const found = await bench.fetch(at('indexed'), await login(bench, reader));
      assert.deepEqual([found.code, found.digest], [0, bench.digest], found.error?.message);
    });
  });

  test('takes the pinned manifest after its tag has moved', async () => {
    await withBench(async (bench) => {
      const { digest } = await pusher.artifact('pinned', 'one', fileLayers(bench));
      await pusher.artifact('pinned', 'one', [archiveLayer(Buffer.from('something else'))]);
      const env = await login(bench, reader);
      assert.equal((await bench.fetch(at(`pinned:one@${digest}`), env)).code, 0);
    });
  });

  test('goes on where the connection broke, and brings no byte twice', async () => {
    await withBench(async (bench) => {
      await pusher.artifact('broken', 'one', fileLayers(bench));
      const wire = await breakingWire(server.port, { afterBytes: GRAPH_BYTES / 4, breaks: 3 });
      try {
        const reference = `127.0.0.1:${wire.port}/broken:one`;
        const env = await login(bench, reader, `http://127.0.0.1:${wire.port}`);
        const found = await bench.fetch({ oci: { reference, plainHttp: true } }, env);
        assert.deepEqual([found.code, wire.broken], [0, 3], found.error?.message);
        assert.ok(wire.received < GRAPH_BYTES * 1.4, `${wire.received} bytes came for ${GRAPH_BYTES}`);
      } finally {
        wire.close();
      }
    });
  });

  const refusals: {
    name: string;
    layers?: (bench: Bench) => ArtifactLayer[] | Promise<ArtifactLayer[]>;
    /** Of what is asked for, beside the repository. */
    version?: string;
    entry?: object;
    more?: string[];
    reason: string;
    message: RegExp;
  }[] = [
    {
      name: 'a wrong password',
      entry: { username: 'reader', password: 'a-wrong-password' },
      reason: 'SourceUnauthorized',
      message: /401 Unauthorized \(UNAUTHORIZED: .*; check the credentials/,
    },
    { name: 'nobody', entry: {}, reason: 'SourceUnauthorized', message: /401 Unauthorized/ },
    { name: 'a missing tag', version: ':none', reason: 'SourceNotFound', message: /MANIFEST_UNKNOWN/ },
    {
      name: 'a missing manifest',
      version: `@sha256:${'0'.repeat(64)}`,
      reason: 'SourceNotFound',
      message: /MANIFEST_UNKNOWN/,
    },
    {
      name: 'what the manifest says is above the limit',
      more: ['--max-bytes=100000'],
      reason: 'PackageTooLarge',
      message: /the package has \d{7} bytes; the limit is 100000 bytes/,
    },
    {
      name: 'another package',
      layers: ({ archive }) => [
        archiveLayer(archive),
        {
          mediaType: nobodysFile,
          content: Buffer.from('formatVersion: 1'),
          annotations: { [titleAnnotation]: 'model.yaml' },
        },
      ],
      reason: 'DigestMismatch',
      message: /model\.yaml: the digest is/,
    },
    {
      name: 'a file that leads out of the package',
      layers: (bench) => [
        ...fileLayers(bench),
        { mediaType: nobodysFile, content: Buffer.from('x'), annotations: { [titleAnnotation]: '../../x' } },
      ],
      reason: 'InvalidPackage',
      message: /leads out of the package/,
    },
    {
      name: 'a file below a file',
      layers: (bench) => [
        ...fileLayers(bench),
        {
          mediaType: nobodysFile,
          content: Buffer.from('x'),
          annotations: { [titleAnnotation]: 'model.yaml/x' },
        },
      ],
      reason: 'InvalidPackage',
      message: /"model\.yaml\/x" cannot be a file beside what came before/,
    },
    {
      name: 'a layer that deletes',
      layers: async ({ folder, archive }) => {
        await mkdir(join(folder, 'whiteout'));
        await writeFile(join(folder, 'whiteout/.wh.classifier.onnx'), '');
        return [archiveLayer(archive), archiveLayer(tarOf(join(folder, 'whiteout')))];
      },
      reason: 'InvalidPackage',
      message: /deletes a file of an earlier layer/,
    },
    {
      name: 'a layer without a name',
      layers: ({ archive }) => [{ mediaType: nobodysFile, content: archive }],
      reason: 'InvalidPackage',
      message: /annotate it with org\.opencontainers\.image\.title/,
    },
  ];
  for (const [index, refusal] of refusals.entries()) {
    test(`refuses ${refusal.name} and leaves nothing on the volume`, async () => {
      await withBench(async (bench) => {
        const { layers = fileLayers, version = ':one', entry = reader, more = [] } = refusal;
        await pusher.artifact(`refused/number-${index}`, 'one', await layers(bench));
        const env = await login(bench, entry);
        const found = await bench.fetch(at(`refused/number-${index}${version}`), env, ...more);
        assert.deepEqual([found.code, found.error?.reason], [2, refusal.reason], found.error?.message);
        assert.match(found.error?.message ?? '', refusal.message);
        assert.doesNotMatch(found.error?.message ?? '', /a-registry-password|a-wrong-password/);
        assert.deepEqual(await bench.onVolume(), []);
      });
    });
  }

  test('refuses a blob that is damaged in the registry', async () => {
    await withBench(async (bench) => {
      await pusher.artifact('damaged', 'one', fileLayers(bench));
      const graph = bench.files.get('classifier.onnx') ?? Buffer.of();
      const hex = digestOf(graph).replace('sha256:', '');
      const blobs = join(server.folder, 'blobs');
      const [path = ''] = (await readdir(blobs, { recursive: true })).filter((name) =>
        name.endsWith(`${hex}/data`),
      );
      const content = await readFile(join(blobs, path));
      content.writeUInt8(content.readUInt8(1000) ^ 1, 1000);
      await writeFile(join(blobs, path), content);
      const found = await bench.fetch(at('damaged:one'), await login(bench, reader));
      assert.deepEqual([found.code, found.error?.reason], [2, 'DigestMismatch'], found.error?.message);
      assert.deepEqual(await bench.onVolume(), []);
    });
  });
});

describe('fetch from a registry with a token service', () => {
  let tokens: TokenService;
  let guarded: RunningServer;
  before(async () => {
    tokens = await startTokenService(
      ({ headers }, form) =>
        headers.authorization === basic || form.get('refresh_token') === 'an-identity-token',
    );
    guarded = await startServer('registry', async (port, folder) => {
      await writeFile(join(folder, 'keys.json'), tokens.keySet);
      const token = { realm: tokens.realm, service, issuer, jwks: join(folder, 'keys.json') };
      return launch(port, folder, { token });
    });
  });
  after(async () => {
    await guarded.stop();
    tokens.close();
  });

  async function pushed(bench: Bench): Promise<object> {
    const where = `127.0.0.1:${guarded.port}`;
    const scope = 'repository:team/voice:pull,push';
    const answer = await fetch(`${tokens.realm}?service=${service}&scope=${scope}`, {
      headers: { authorization: basic },
    });
    const { token } = (await answer.json()) as { token: string };
    await new Pusher(`http://${where}`, `Bearer ${token}`).artifact('team/voice', 'one', fileLayers(bench));
    return { oci: { reference: `${where}/team/voice:one`, plainHttp: true } };
  }

  const entries = [
    { name: 'a password', entry: reader },
    { name: 'an identity token', entry: { identitytoken: 'an-identity-token' } },
  ];
  for (const { name, entry } of entries) {
    test(`exchanges ${name} for one token`, async () => {
      await withBench(async (bench) => {
        const source = await pushed(bench);
        const before = tokens.given;
        const found = await bench.fetch(source, await login(bench, entry, `127.0.0.1:${guarded.port}`));
        assert.deepEqual([found.code, tokens.given - before], [0, 1], found.error?.message);
      });
    });
  }

  test('refuses a wrong password', async () => {
    await withBench(async (bench) => {
      const entry = { username: 'reader', password: 'a-wrong-password' };
      const found = await bench.fetch(
        await pushed(bench),
        await login(bench, entry, `127.0.0.1:${guarded.port}`),
      );
      assert.deepEqual([found.code, found.error?.reason], [2, 'SourceUnauthorized']);
      assert.match(
        found.error?.message ?? '',
        /\/token answered 401 Unauthorized \(UNAUTHORIZED: wrong password\)/,
      );
    });
  });
});
