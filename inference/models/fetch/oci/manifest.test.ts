import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layersOf, readManifest } from './manifest.ts';

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const entry = (letter: string, more: object = {}) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf(letter),
  size: 10,
  ...more,
});
const platform = (architecture: string) => ({ platform: { os: 'linux', architecture } });
const title = (name: string) => ({ 'org.opencontainers.image.title': name });

describe('an index', () => {
  const rows: { name: string; manifests: object[]; found: string | RegExp }[] = [
    {
      name: 'of one manifest leads to it, whatever its platform',
      manifests: [entry('a', platform('s390x'))],
      found: digestOf('a'),
    },
    {
      name: 'leads to the manifest of this processor',
      manifests: [entry('a', platform('arm64')), entry('b', platform('amd64'))],
      found: digestOf('b'),
    },
    {
      name: 'is read without attestations',
      manifests: [
        entry('a'),
        entry('b', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
      ],
      found: digestOf('a'),
    },
    {
      name: 'for other processors is refused',
      manifests: [entry('a', platform('arm64')), entry('b', platform('s390x'))],
      found: /2 manifests, 0 of them for linux\/amd64/,
    },
    {
      name: 'that leaves a choice is refused',
      manifests: [entry('a', platform('amd64')), entry('b', platform('amd64'))],
      found: /name the one that is meant by @sha256:DIGEST/,
    },
    { name: 'of nothing is refused', manifests: [], found: /0 manifests/ },
  ];
  for (const { name, manifests, found } of rows) {
    test(name, () => {
      const read = () => readManifest(JSON.stringify({ schemaVersion: 2, manifests }), 'amd64');
      if (typeof found === 'string') assert.deepEqual(read(), { next: found });
      else assert.throws(read, found);
    });
  }
});

describe('a manifest', () => {
  const rows: { name: string; text: string }[] = [
    { name: 'that is no JSON', text: '<html>' },
    { name: 'without layers', text: JSON.stringify({ layers: [] }) },
    {
      name: 'with a digest of another kind',
      text: JSON.stringify({ layers: [{ ...entry('a'), digest: 'sha512:00' }] }),
    },
    { name: 'of the first format', text: JSON.stringify({ schemaVersion: 1, fsLayers: [] }) },
  ];
  for (const { name, text } of rows) {
    test(`${name} is refused`, () => {
      assert.throws(() => readManifest(text, 'amd64'), /leads to no manifest with layers/);
    });
  }
});

describe('a layer', () => {
  const archive = undefined;
  const rows: [string, string, Record<string, string>, string | undefined | RegExp][] = [
    ['of an image is an archive', 'application/vnd.oci.image.layer.v1.tar+gzip', {}, archive],
    ['of a Docker image is an archive', 'application/vnd.docker.image.rootfs.diff.tar.gzip', {}, archive],
    ['with a title is that file', 'text/plain', title('model.yaml'), 'model.yaml'],
    [
      'with a title is that file, whatever its type says',
      'application/vnd.oci.image.layer.v1.tar',
      title('classifier.onnx'),
      'classifier.onnx',
    ],
    ['titled as an archive is one', 'application/gzip', title('voice.tar.gz'), archive],
    [
      'that is a packed folder is an archive',
      'application/vnd.oci.image.layer.v1.tar+gzip',
      { ...title('golden'), 'io.deis.oras.content.unpack': 'true' },
      archive,
    ],
    [
      'of a raw ModelPack file is that file',
      'application/vnd.cncf.model.weight.v1.raw',
      { 'org.cncf.model.filepath': 'a/b.onnx' },
      'a/b.onnx',
    ],
    [
      'of a ModelPack archive is one',
      'application/vnd.cncf.model.weight.v1.tar+zstd',
      { 'org.cncf.model.filepath': 'a' },
      archive,
    ],
    ['without type and title is refused', 'text/plain', {}, /is no tar archive and says no file name/],
  ];
  for (const [name, mediaType, annotations, found] of rows) {
    test(name, () => {
      const read = () => layersOf([{ ...entry('a'), mediaType, annotations }]).map(({ path }) => path);
      if (found instanceof RegExp) assert.throws(read, found);
      else assert.deepEqual(read(), [found]);
    });
  }

  test('that stands for nothing is left out', () => {
    assert.deepEqual(layersOf([{ ...entry('a'), mediaType: 'application/vnd.oci.empty.v1+json' }]), []);
  });
});
