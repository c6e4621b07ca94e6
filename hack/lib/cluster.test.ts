import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { debianSources } from './base-images.ts';
import { certificateArguments } from './certificates.ts';
import { chooseProvider, clusterEnv, type ProviderRecord } from './cluster.ts';
import { capacityPatch } from './extended-resource.ts';
import { parseSize } from './image-store.ts';
import { buildFlags, hostMounts, portableNpmConfig } from './images.ts';
import { ownerConflict } from './local-cluster.ts';
import { mountsUnder } from './node-cleanup.ts';
import { cniConfig, containerdConfig, networkRules } from './node-config.ts';
import { type Found, isOurs, recovery, refusal } from './ownership.ts';
import { buildArguments, pinnedVersions, requiredVersion, versionKey } from './toolchain.ts';

const GO_MOD =
  'module x\n\nrequire k8s.io/kubernetes v1.36.3\n\nrequire (\n\thelm.sh/helm/v4 v4.3.1 // indirect\n)\n';

describe('the programs of the cluster', () => {
  it('have their versions from go.mod', () => {
    assert.equal(requiredVersion(GO_MOD, 'k8s.io/kubernetes'), 'v1.36.3');
    assert.equal(requiredVersion(GO_MOD, 'helm.sh/helm/v4'), 'v4.3.1');
    assert.throws(() => requiredVersion(GO_MOD, 'helm.sh/helm'), /requires no helm.sh\/helm/);
  });
  it('are cached under a key that changes with any source and with the architecture', () => {
    const keys = [
      versionKey([GO_MOD, 'a'], 'amd64'),
      versionKey([GO_MOD, 'b'], 'amd64'),
      versionKey([GO_MOD, 'a'], 'arm64'),
    ];
    assert.equal(new Set(keys).size, 3);
    for (const key of keys) assert.match(key, /^v1\.36\.3-(amd64|arm64)-[0-9a-f]{12}$/);
  });
  it('are built to report the version that they have', () => {
    const args = buildArguments(['k8s.io/kubernetes/cmd/kubelet'], '/out', pinnedVersions());
    assert.match(args.join(' '), /-X k8s.io\/component-base\/version.gitVersion=v1\.\d+\.\d+ /);
    assert.deepEqual(args.slice(-3), ['-o', '/out/', 'k8s.io/kubernetes/cmd/kubelet']);
  });
});

describe('certificateArguments', () => {
  const authority = { certificate: 'ca.crt', key: 'ca.key' };
  it('puts a client into its group', () => {
    const args = certificateArguments(authority, {
      name: 'n',
      commonName: 'admin',
      organization: 'system:masters',
    });
    assert.ok(args.includes('/O=system:masters/CN=admin'));
    assert.ok(!args.join(' ').includes('subjectAltName'));
  });
  it('lists the names and addresses of a server by their kind', () => {
    const args = certificateArguments(authority, {
      name: 'n',
      commonName: 'api',
      hosts: ['localhost', '10.0.0.1'],
    });
    assert.equal(args.at(-1), 'subjectAltName=DNS:localhost,IP:10.0.0.1');
  });
});

describe('the node', () => {
  const paths = {
    containerdRoot: '/s/containerd',
    containerdState: '/r/containerd',
    containerdSocket: '/r/containerd.sock',
    runcRoot: '/r/runc',
    cniConfig: '/s/cni',
    cniState: '/r/cni',
    cniPlugins: '/usr/lib/cni',
    kubeletRoot: '/s/kubelet',
    podLogs: '/s/logs',
  };
  it('makes do without overlayfs and without the right to raise limits', () => {
    const limited = containerdConfig(paths, { noOverlay: true, noResourceCapability: true });
    assert.match(limited, /snapshotter = "native"/);
    assert.match(limited, /restrict_oom_score_adj = true/);
    assert.match(
      containerdConfig(paths, { noOverlay: false, noResourceCapability: false }),
      /snapshotter = "overlayfs"/,
    );
  });
  it('gives pods addresses of the range whose packets the host translates', () => {
    const [plugin] = JSON.parse(cniConfig(paths)).plugins;
    const { subnet } = plugin.ipam.ranges[0][0];
    assert.ok(networkRules().includes(`ip saddr ${subnet}`));
  });
  it('finds what is mounted under its folders, the innermost first', () => {
    const line = (path: string) => `36 35 98:0 / ${path} rw - ext4 /dev/root rw`;
    const text = ['/', '/s/kubelet/a', '/s/kubelet/a/b\\040c', '/sx/other', '/r/netns/1']
      .map(line)
      .join('\n');
    assert.deepEqual(mountsUnder(text, ['/s', '/r']), ['/r/netns/1', '/s/kubelet/a/b c', '/s/kubelet/a']);
  });
});

describe('image builds', () => {
  it('take tag and arguments in the form that Docker and buildah share', () => {
    const build = { dockerfile: 'Dockerfile.x', tag: 'x:1', buildArgs: { BUILD_IMAGE: 'b' } };
    assert.deepEqual(buildFlags(build), [
      '--file',
      'Dockerfile.x',
      '--tag',
      'x:1',
      '--build-arg',
      'BUILD_IMAGE=b',
    ]);
  });
  it('see the settings of the host read-only', () => {
    const mounts = hostMounts('/t/npmrc', true).filter((flag) => flag !== '--volume');
    assert.equal(mounts.length, 2);
    for (const mount of mounts) assert.match(mount, /:ro$/);
  });
  it('use the registry and tokens of the host, but none of its paths', () => {
    const files = ['prefix=/usr\n//npm.example/:_authToken=t\n', 'cafile=/home/x/ca.pem\nstrict-ssl=true\n'];
    assert.equal(
      portableNpmConfig(files, 'https://npm.example/'),
      '//npm.example/:_authToken=t\nstrict-ssl=true\nregistry=https://npm.example/\ncafile=/etc/ssl/certs/ca-certificates.crt\n',
    );
  });
  const sources: [string, string, string[]][] = [
    [
      "the host's own mirror of the same Debian",
      'http://m/debian/ bookworm main Debian\nhttp://m/debian/ bookworm-updates main Debian\nhttp://x/node/ nodistro main Other',
      ['deb http://m/debian/ bookworm main', 'deb http://m/debian/ bookworm-updates main'],
    ],
    ["mmdebstrap's own mirrors on a host of another release", 'http://m/debian/ trixie main Debian', []],
  ];
  for (const [name, targets, expected] of sources) {
    it(`install packages from ${name}`, () => assert.deepEqual(debianSources(targets), expected));
  }
  it('have their size in bytes', () =>
    assert.deepEqual(['248 MB', '1.5 GB', '12 B'].map(parseSize), [248e6, 1.5e9, 12]));
});

it('clusterEnv is safe to evaluate whatever the paths hold', () => {
  const text = clusterEnv({ kubeconfig: "/home/o'neil/k", binaries: '/b in' });
  assert.equal(text, `export KUBECONFIG='/home/o'\\''neil/k'\nexport PATH='/b in':"$PATH"`);
});

it('capacityPatch escapes the slash of a resource name', () => {
  assert.deepEqual(JSON.parse(capacityPatch('nvidia.com/gpu', '2')), [
    { op: 'add', path: '/status/capacity/nvidia.com~1gpu', value: '2' },
    { op: 'add', path: '/status/allocatable/nvidia.com~1gpu', value: '2' },
  ]);
});

describe('chooseProvider', () => {
  const mine: ProviderRecord = { provider: 'context', context: 'mine', kubeconfig: '/k' };
  const rows: [string, string | undefined, ProviderRecord | undefined, boolean, string | RegExp][] = [
    ['takes kind where Docker answers', undefined, undefined, true, 'kind'],
    ['takes this machine otherwise', undefined, undefined, false, 'local'],
    ['takes the context asked for', 'mine', undefined, true, 'context'],
    ['goes on with the recorded cluster', undefined, { provider: 'local' }, true, 'local'],
    ['goes on with the recorded context, named or not', 'mine', mine, false, 'context'],
    [
      'refuses a context over a cluster of ours',
      'mine',
      { provider: 'local' },
      false,
      /local cluster .* down first/,
    ],
    ['refuses a context over another one', 'other', mine, false, /context mine .* down first/],
  ];
  for (const [name, context, recorded, docker, expected] of rows) {
    it(name, () => {
      const choose = () => chooseProvider(context, recorded, docker);
      if (typeof expected === 'string') assert.equal(choose(), expected);
      else assert.throws(choose, expected);
    });
  }
});

describe("on a cluster of the user's the demo", () => {
  const labels = { 'deepfake-operator.io/made-by': 'hack-demo' };
  const nothing: Found = { release: undefined, definitions: [], namespace: undefined };
  const own: Found = {
    release: { status: 'deployed', labels },
    definitions: ['crd/a'],
    namespace: { name: 'demo', uid: '1', labels },
  };
  const rows: [string, Found, RegExp | undefined][] = [
    ['installs where there is nothing', nothing, undefined],
    ['goes on with what it made', own, undefined],
    [
      'refuses a release of others',
      { ...nothing, release: { status: 'deployed', labels: null } },
      /installed there/,
    ],
    [
      'refuses definitions without a release',
      { ...nothing, definitions: ['crd/a'] },
      /crd\/a are there already/,
    ],
    ['refuses a namespace of others', { ...own, namespace: { name: 'demo', uid: '1' } }, /namespace demo/],
  ];
  for (const [name, found, expected] of rows) {
    it(name, () =>
      expected ? assert.match(refusal(found) ?? '', expected) : assert.equal(refusal(found), undefined),
    );
  }
  it('removes nothing without its mark', () =>
    assert.deepEqual([{}, undefined, { labels }].map(isOurs), [false, false, true]));
});

describe('a machine that holds a cluster', () => {
  const rows: [string, string | undefined, boolean, RegExp | undefined][] = [
    ['goes on with its own', '/own', true, undefined],
    ['is free without one', undefined, true, undefined],
    ['refuses another folder', '/other', true, /already holds the cluster of \/other/],
    ['has one that is orphaned removed first', '/other', false, /\/other is gone: run hack\/cluster down/],
    ['has its own removed first when the folder was deleted under it', '/own', false, /\/own is gone/],
  ];
  for (const [name, owner, there, expected] of rows) {
    it(name, () => {
      const conflict = ownerConflict('/own', owner, () => there);
      if (expected) assert.match(conflict ?? '', expected);
      else assert.equal(conflict, undefined);
    });
  }
});

it('recovery ends what a killed Helm left half done, and nothing else', () => {
  const statuses = [
    'pending-install',
    'uninstalling',
    'pending-upgrade',
    'pending-rollback',
    'deployed',
    'failed',
  ];
  const expected = ['uninstall', 'uninstall', 'rollback', 'rollback', undefined, undefined];
  assert.deepEqual(statuses.map(recovery), expected);
  assert.equal(recovery(undefined), undefined);
});
