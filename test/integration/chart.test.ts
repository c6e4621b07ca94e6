/** The chart: what it renders and refuses, and a release of it on a real API server from installation to removal. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import { type ControlPlane, startControlPlane } from '../../hack/lib/control-plane.ts';
import { CHART } from '../../hack/lib/deploy.ts';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { CommandError } from '../../hack/lib/process.ts';
import { ensureBinaries } from '../../hack/lib/toolchain.ts';
import { eventually } from './environment.ts';
import { lintChart, type Manifest, renderManifests, tools } from './helm.ts';

/** Everything that can be switched on. */
const EVERYTHING = {
  inferenceImages: { cuda: { repository: 'r/cuda' }, tensorrt: { repository: 'r/trt', tag: 't' } },
  imagePullSecrets: [{ name: 'pull' }],
  extraEnv: [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=400' }],
  podLabels: { team: 'a' },
  podAnnotations: { note: 'b' },
  priorityClassName: 'system-cluster-critical',
  nodeSelector: { disk: 'fast' },
  tolerations: [{ key: 'infra', operator: 'Exists' }],
  affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
  serviceAccount: { annotations: { note: 'c' } },
  metrics: {
    service: { annotations: { 'prometheus.io/scrape': 'true' } },
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' }, interval: '15s' },
    prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    dashboard: { enabled: true, labels: { team: 'a' }, annotations: { grafana_folder: 'Detectors' } },
  },
  networkPolicy: {
    enabled: true,
    metricsFrom: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
    extraEgress: [{ ports: [{ port: 9443 }] }],
  },
};

/** Values as arguments of helm: one option per top-level key, so that defaults below it stay. */
const set = (values: object) =>
  Object.entries(values).map(([key, value]) => `--set-json=${key}=${JSON.stringify(value)}`);

const render = (values: object = {}) => renderManifests(set(values));
const named = (manifests: readonly Manifest[], kind: string, name?: string) =>
  manifests.filter((each) => each.kind === kind && (name === undefined || each.metadata.name === name));
const only = (manifests: readonly Manifest[], kind: string, name?: string): Manifest => {
  const [found, ...rest] = named(manifests, kind, name);
  assert.ok(found && rest.length === 0, `one ${kind} ${name ?? ''}`);
  return found;
};
const podOf = (manifests: readonly Manifest[]) => only(manifests, 'Deployment').spec.template.spec;
const envOf = (manifests: readonly Manifest[]): Record<string, string | undefined> =>
  Object.fromEntries(
    podOf(manifests).containers[0].env.map(({ name, value }: { name: string; value?: string }) => [
      name,
      value,
    ]),
  );

describe('helm lint finds nothing', () => {
  for (const [what, values] of [
    ['by default', {}],
    ['with everything', EVERYTHING],
    ['in some namespaces', { watchNamespaces: ['a', 'b'] }],
  ] as [string, object][]) {
    it(what, async () => {
      assert.doesNotMatch(await lintChart(['--strict', ...set(values)]), /\[(WARNING|ERROR)\]/);
    });
  }
});

describe('values that are refused, with where and why', () => {
  for (const [what, values, says] of [
    ['a key that is none', { replica: 2 }, /additional properties 'replica' not allowed/],
    ['a key below that is none', { metrics: { enabled: true } }, /'\/metrics'.*'enabled' not allowed/],
    ['no replica', { replicas: 0 }, /'\/replicas': minimum: got 0, want 1/],
    ['replicas as text', { replicas: '2' }, /'\/replicas': got string, want integer/],
    ['an image without a name', { image: { repository: '' } }, /'\/image\/repository'/],
    ['half a digest', { image: { digest: 'sha256:ab' } }, /'\/image\/digest'.*does not match pattern/],
    ['a tag with a blank', { inferenceImage: { tag: 'a b' } }, /'\/inferenceImage\/tag'/],
    ['a device that is none', { inferenceImages: { rocm: {} } }, /'\/inferenceImages'.*'rocm' not allowed/],
    ['a namespace that can be none', { watchNamespaces: ['A'] }, /'\/watchNamespaces\/0'.*does not match/],
    ['a namespace twice', { watchNamespaces: ['a', 'a'] }, /'\/watchNamespaces': items at 0 and 1 are equal/],
    ['an unknown level', { logLevel: 'loud' }, /'\/logLevel': value must be one of 'trace'/],
    [
      'an unknown action',
      { admission: { actions: ['Refuse'] } },
      /'\/admission\/actions\/0': value must be one of/,
    ],
    ['no action', { admission: { actions: [] } }, /'\/admission\/actions'/],
    [
      'a refusal that is also a warning',
      { admission: { actions: ['Deny', 'Warn'] } },
      /Deny and Warn exclude each other/,
    ],
    ['a quantity that is none', { resources: { limits: { cpu: 'fast' } } }, /'\/resources\/limits\/cpu'/],
    ['a resource outside of its list', { resources: { cpu: 1 } }, /'\/resources'.*'cpu' not allowed/],
    [
      'an interval without a unit',
      { metrics: { serviceMonitor: { interval: '30' } } },
      /'\/metrics\/serviceMonitor\/interval'/,
    ],
    ['port 0', { networkPolicy: { apiServerPorts: [0] } }, /'\/networkPolicy\/apiServerPorts\/0'/],
    [
      'a variable of the chart',
      { extraEnv: [{ name: 'LOG_LEVEL', value: 'x' }] },
      /extraEnv: LOG_LEVEL is the chart's own/,
    ],
    ['a variable without a name', { extraEnv: [{ value: 'x' }] }, /'\/extraEnv\/0': missing property 'name'/],
    [
      'no account at all',
      { serviceAccount: { create: false } },
      /name the account to use in serviceAccount\.name/,
    ],
    ['a Secret as text', { imagePullSecrets: ['pull'] }, /'\/imagePullSecrets\/0': got string, want object/],
  ] as [string, object, RegExp][]) {
    it(what, async () => {
      await assert.rejects(
        render(values),
        (error) => error instanceof CommandError && says.test(error.output),
      );
    });
  }
});

describe('the chart', () => {
  it('runs two replicas, apart where that is possible, of which a disruption takes one', async () => {
    const manifests = await render();
    assert.equal(only(manifests, 'Deployment').spec.replicas, 2);
    const spread = podOf(manifests).topologySpreadConstraints as {
      whenUnsatisfiable: string;
      topologyKey: string;
    }[];
    assert.deepEqual(
      spread.map(({ topologyKey, whenUnsatisfiable }) => [topologyKey, whenUnsatisfiable]),
      [
        ['kubernetes.io/hostname', 'ScheduleAnyway'],
        ['topology.kubernetes.io/zone', 'ScheduleAnyway'],
      ],
    );
    const { selector } = only(manifests, 'Deployment').spec;
    const budget = only(manifests, 'PodDisruptionBudget').spec;
    assert.deepEqual([budget.maxUnavailable, budget.selector], [1, selector]);
    const env = envOf(manifests);
    assert.deepEqual([env['LEADER_ELECTION'], env['LEASE_NAME']], ['true', 'release']);
  });

  it('has no budget that would hold up the drain of a single replica', async () => {
    const manifests = await render({ replicas: 1 });
    assert.deepEqual(named(manifests, 'PodDisruptionBudget'), []);
    assert.equal(podOf(manifests).topologySpreadConstraints, undefined);
  });

  it('takes spread constraints in place of its own', async () => {
    const mine = { maxSkew: 2, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule', labelSelector: {} };
    assert.deepEqual(podOf(await render({ topologySpreadConstraints: [mine] })).topologySpreadConstraints, [
      mine,
    ]);
  });

  it('names the images by tag, by digest, and by the version of the chart where neither is given', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const { appVersion } = parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8')) as { appVersion: string };
    const imageOf = async (image: object) => podOf(await render({ image })).containers[0].image;
    assert.equal(await imageOf({ repository: 'r/o' }), `r/o:${appVersion}`);
    assert.equal(await imageOf({ repository: 'r/o', tag: 't' }), 'r/o:t');
    assert.equal(await imageOf({ repository: 'r/o', tag: 't', digest }), `r/o@${digest}`);
  });

  it('is of the version of the programs', async () => {
    const { version, appVersion } = parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8')) as Record<
      string,
      string
    >;
    const program = parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual([version, appVersion], [program.version, program.version]);
  });

  it('hands the images of devices on where they are set, and else says nothing of them', async () => {
    const names = ['INFERENCE_IMAGE_CUDA', 'INFERENCE_IMAGE_TENSORRT'];
    const env = envOf(await render({ inferenceImages: { cuda: { repository: 'r/c', tag: 't' } } }));
    assert.deepEqual(
      names.map((name) => env[name]),
      ['r/c:t', undefined],
    );
    const none = envOf(await render());
    for (const name of names) assert.ok(!(name in none));
  });

  it('puts further settings on the pod', async () => {
    const manifests = await render(EVERYTHING);
    const pod = podOf(manifests);
    for (const key of [
      'priorityClassName',
      'nodeSelector',
      'tolerations',
      'affinity',
      'imagePullSecrets',
    ] as const) {
      assert.deepEqual(pod[key], EVERYTHING[key], key);
    }
    const { labels, annotations } = only(manifests, 'Deployment').spec.template.metadata;
    assert.equal(labels.team, 'a');
    assert.deepEqual(annotations, EVERYTHING.podAnnotations);
    assert.equal(envOf(manifests)['NODE_OPTIONS'], '--max-old-space-size=400');
    assert.equal(envOf(manifests)['INFERENCE_IMAGE_PULL_SECRETS'], 'pull');
  });

  it('selects by labels that podLabels cannot change', async () => {
    const manifests = await render({ podLabels: { 'app.kubernetes.io/name': 'mine' } });
    const { selector, template } = only(manifests, 'Deployment').spec;
    for (const [key, value] of Object.entries(selector.matchLabels))
      assert.equal(template.metadata.labels[key], value);
  });

  it('uses an account that is there', async () => {
    const manifests = await render({ serviceAccount: { create: false, name: 'mine' } });
    assert.deepEqual(named(manifests, 'ServiceAccount'), []);
    assert.equal(podOf(manifests).serviceAccountName, 'mine');
    for (const binding of named(manifests, 'ClusterRoleBinding'))
      assert.equal(binding['subjects'][0].name, 'mine');
  });

  it('names what has no namespace after the release and its namespace', async () => {
    const manifests = await render();
    const shared = manifests.filter(({ kind }) => /^(Cluster|Validating)/.test(kind));
    assert.ok(shared.length >= 6);
    for (const { metadata } of shared) assert.match(metadata.name, /^release-ns-release(-|$)/);
  });

  for (const [kind, values] of [
    ['ServiceMonitor', { metrics: { serviceMonitor: { enabled: true } } }],
    ['PrometheusRule', { metrics: { prometheusRule: { enabled: true } } }],
    ['ConfigMap', { metrics: { dashboard: { enabled: true } } }],
    ['NetworkPolicy', { networkPolicy: { enabled: true } }],
  ] as [string, object][]) {
    it(`makes a ${kind} only where it is asked for`, async () => {
      assert.deepEqual(named(await render(), kind), []);
      only(await render(values), kind);
    });
  }

  it('has the metrics Service scraped by a ServiceMonitor that a Prometheus finds', async () => {
    const manifests = await render(EVERYTHING);
    const monitor = only(manifests, 'ServiceMonitor');
    const service = only(manifests, 'Service');
    assert.equal(monitor.metadata.labels?.['release'], 'prometheus');
    for (const [key, value] of Object.entries(monitor.spec.selector.matchLabels)) {
      assert.equal(service.metadata.labels?.[key], value);
    }
    const [endpoint] = monitor.spec.endpoints;
    assert.equal(endpoint.interval, '15s');
    assert.ok(service.spec.ports.some(({ name }: { name: string }) => name === endpoint.port));
    assert.deepEqual(service.metadata.annotations, EVERYTHING.metrics.service.annotations);
  });

  it('wraps the alert rules and the dashboard as they are in their files', async () => {
    const manifests = await render(EVERYTHING);
    const file = (name: string) => readFile(join(CHART, 'files', name), 'utf8');
    assert.deepEqual(only(manifests, 'PrometheusRule').spec, parse(await file('alerts.yaml')));
    const { data, metadata } = only(manifests, 'ConfigMap');
    assert.equal(metadata.labels?.['grafana_dashboard'], '1');
    assert.deepEqual(JSON.parse(data['deepfake-operator.json']), JSON.parse(await file('dashboard.json')));
  });

  it('lets the operator reach the API server, DNS and fetch pods, and others its metrics', async () => {
    const { spec } = only(await render(EVERYTHING), 'NetworkPolicy');
    assert.deepEqual(spec.ingress, [
      { ports: [{ port: 'metrics', protocol: 'TCP' }], from: EVERYTHING.networkPolicy.metricsFrom },
    ]);
    const ports = spec.egress.flatMap((rule: { ports: { port: number | string }[] }) =>
      rule.ports.map(({ port }) => port),
    );
    assert.deepEqual(ports, [53, 53, 443, 6443, 'progress', 9443]);
  });

  it('leaves out definitions, policies and user roles where that is said', async () => {
    const names = async (values: object) => (await render(values)).map(({ kind }) => kind);
    assert.ok((await names({})).includes('CustomResourceDefinition'));
    assert.ok(!(await names({ crds: { install: false } })).includes('CustomResourceDefinition'));
    assert.ok(
      !(await names({ admission: { enabled: false } })).some((kind) => kind.startsWith('Validating')),
    );
    const roles = named(await render({ rbac: { userRoles: false } }), 'ClusterRole');
    assert.deepEqual(
      roles.map(({ metadata }) => metadata.name),
      ['release-ns-release'],
    );
  });

  it('watches some namespaces by a Role in each and no ClusterRole of the operator', async () => {
    const manifests = await render({ watchNamespaces: ['a', 'b'], rbac: { userRoles: false } });
    assert.deepEqual(named(manifests, 'ClusterRole'), []);
    const roles = named(manifests, 'Role', 'release-ns-release');
    assert.deepEqual(
      roles.map(({ metadata }) => metadata.namespace),
      ['a', 'b'],
    );
    assert.equal(envOf(manifests)['WATCH_NAMESPACES'], 'a,b');
  });

  it('needs no right on the cluster where all that is cluster-wide is switched off', async () => {
    const manifests = await render({
      ...EVERYTHING,
      watchNamespaces: ['a', 'release-ns'],
      crds: { install: false },
      admission: { enabled: false },
      rbac: { userRoles: false },
    });
    assert.ok(named(manifests, 'Role').length >= 3);
    for (const { kind, metadata } of manifests) {
      assert.ok(['a', 'release-ns'].includes(metadata.namespace ?? ''), `${kind} ${metadata.name}`);
    }
  });

  it('takes no variables from Services that happen to be in its namespace', async () => {
    assert.equal(podOf(await render()).enableServiceLinks, false);
  });

  it('leaves the choice of the user to the image and the cluster, and refuses root', async () => {
    const { securityContext } = podOf(await render());
    assert.deepEqual(securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    assert.match(
      await readFile(join(REPOSITORY, 'Dockerfile.operator'), 'utf8'),
      /^USER [1-9]\d*:[1-9]\d*$/m,
    );
  });

  const ruleFile = async (name: string): Promise<unknown[]> =>
    parse(await readFile(join(CHART, `files/${name}.yaml`), 'utf8'));

  it('gives the operator the rights in its files and none on Secrets but to make them', async () => {
    const rules = only(await render(), 'ClusterRole', 'release-ns-release')['rules'] as {
      resources: string[];
      verbs: string[];
    }[];
    assert.deepEqual(rules, [...(await ruleFile('rules')), ...(await ruleFile('cluster-rules'))]);
    for (const { resources, verbs } of rules) {
      assert.ok(![...resources, ...verbs].some((word) => word.includes('*')), 'no wildcard');
      if (resources.includes('secrets')) assert.deepEqual(verbs, ['create']);
      if (resources.includes('nodes')) assert.deepEqual(verbs, ['list']);
    }
  });

  it('gives an operator of some namespaces no right on nodes', async () => {
    const manifests = await render({ watchNamespaces: ['a'] });
    const { rules } = manifests.find(
      ({ kind, metadata }) => kind === 'Role' && metadata.namespace === 'a',
    ) as unknown as { rules: unknown };
    assert.deepEqual(rules, await ruleFile('rules'));
  });
});

let plane: ControlPlane;
let folder: string;
let helm: ReturnType<typeof tools>['helm'];
let kubectl: ReturnType<typeof tools>['kubectl'];

const NAMESPACE = 'release-ns';
const RELEASE = ['release', `--namespace=${NAMESPACE}`];
const KINDS = ['deepfakemodels', 'modeldeployments'];
const definitions = KINDS.map((plural) => `${plural}.deepfake-operator.io`);
const CRDS = join(REPOSITORY, 'crds');

const install = (values: object = {}, chart = CHART, release = RELEASE) =>
  helm(['install', ...release, chart, ...set(values)]);
const upgrade = (values: object = {}, option = '--reset-values') =>
  helm(['upgrade', ...RELEASE, CHART, option, ...set(values)]);
const uninstall = (release = RELEASE) => helm(['uninstall', ...release, '--wait']);
const read = async (...args: string[]) => JSON.parse((await kubectl(['get', ...args, '-o', 'json'])).out);
const installedDefinitions = async () =>
  (await kubectl(['get', 'crd', '-o', 'name'])).out
    .split('\n')
    .filter((line) => line.endsWith('.deepfake-operator.io'));
/** Whether a user or an account may do something to a `resource` or a `resource:subresource`. */
async function may(who: string, verb: string, what: string, namespace = NAMESPACE): Promise<boolean> {
  const [resource = '', subresource] = what.split(':');
  const part = subresource === undefined ? [] : [`--subresource=${subresource}`];
  try {
    await kubectl(['auth', 'can-i', verb, resource, ...part, `--as=${who}`, '-n', namespace]);
    return true;
  } catch (error) {
    if (error instanceof CommandError && error.output.trim().endsWith('no')) return false;
    throw error;
  }
}
const model = (spec: object = {}) =>
  JSON.stringify({
    apiVersion: 'deepfake-operator.io/v1alpha1',
    kind: 'DeepfakeModel',
    metadata: { name: 'kept', namespace: NAMESPACE },
    spec: { source: { builtin: { name: 'a' } }, ...spec },
  });
const servedSchema = async (plural: string) =>
  JSON.stringify((await read('crd', `${plural}.deepfake-operator.io`)).spec.versions[0].schema);
const untilServed = () =>
  eventually('the kinds are served', () => kubectl(['get', KINDS.join(',')]).then(() => true), 60_000);

/** A chart of before: its definitions know no fetch settings, and there were no policies. */
async function olderChart(): Promise<string> {
  const chart = join(folder, 'older');
  await cp(CHART, chart, { recursive: true, dereference: true });
  await rm(join(chart, 'templates/admission.yaml'));
  const file = join(chart, 'files/crds/deepfake-operator.io_deepfakemodels.yaml');
  const crd = parse(await readFile(file, 'utf8'));
  delete crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.fetch;
  await writeFile(file, stringify(crd));
  return chart;
}

describe('a release', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'deepfake-operator-chart-'));
    const names = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;
    const binaries = await ensureBinaries(names, (line) => process.stderr.write(`${line}\n`));
    plane = await startControlPlane({ dataDir: folder, binaries, controllerManager: true });
    ({ helm, kubectl } = tools(plane.kubeconfigPath));
    for (const namespace of [NAMESPACE, 'watched', 'other', 'second']) {
      await kubectl(['create', 'namespace', namespace]);
    }
    await kubectl(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/warn=restricted']);
  });
  after(async () => {
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('with everything switched on is accepted by the API server, and its pods keep the restricted standard', async () => {
    for (const kind of ['ServiceMonitor', 'PrometheusRule'])
      await kubectl(['apply', '-f', '-'], foreignKind(kind));
    const values = { ...EVERYTHING, watchNamespaces: ['watched', 'other'] };
    for (const manifests of [await render(EVERYTHING), await render(values)]) {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });
      const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', '-'];
      const { out, all } = await eventually(
        'the kinds of Prometheus are served',
        () => kubectl(args, list),
        60_000,
      );
      assert.equal(out.trim().split('\n').length, manifests.length);
      assert.doesNotMatch(all, /Warning/);
    }
  });

  it('where Prometheus has no kinds says which is missing, and changes nothing', async () => {
    await kubectl(['delete', 'crd', 'servicemonitors.monitoring.coreos.com', '--wait']);
    await assert.rejects(
      install({ metrics: { serviceMonitor: { enabled: true } } }),
      (error) => error instanceof CommandError && /no matches for kind "ServiceMonitor"/.test(error.output),
    );
    assert.deepEqual(await installedDefinitions(), []);
    await helm(['uninstall', ...RELEASE, '--ignore-not-found']);
  });

  it('is upgraded from older definitions, rolled back and upgraded again, and objects stay', async () => {
    const older = await olderChart();
    await install({ logLevel: 'debug' }, older);
    await untilServed();
    const fetch = { fetch: { policy: 'OnDemand' } };
    await assert.rejects(
      kubectl(['apply', '--validate=strict', '-f', '-'], model(fetch)),
      /unknown field "spec\.fetch"/,
    );
    await kubectl(['apply', '-f', '-'], model());
    const { uid } = (await read('dfm', 'kept', '-n', NAMESPACE)).metadata;

    await upgrade({}, '--reset-then-reuse-values');
    const { containers } = (await read('deployment', 'release', '-n', NAMESPACE)).spec.template.spec;
    assert.ok(containers[0].env.some(({ value }: { value?: string }) => value === 'debug'));
    assert.match(await servedSchema('deepfakemodels'), /caConfigMapRef/);
    await eventually(
      'the new field is kept',
      async () => {
        await kubectl(['apply', '--validate=strict', '-f', '-'], model(fetch));
        return (await read('dfm', 'kept', '-n', NAMESPACE)).spec.fetch?.policy === 'OnDemand';
      },
      60_000,
    );

    await helm(['rollback', ...RELEASE, '1']);
    assert.doesNotMatch(await servedSchema('deepfakemodels'), /caConfigMapRef/);
    await assert.rejects(
      read('validatingadmissionpolicy', 'release-ns-release-modeldeployment-pods'),
      /not found/i,
    );
    await upgrade();
    const kept = await read('dfm', 'kept', '-n', NAMESPACE);
    assert.equal(kept.metadata.uid, uid);
    assert.equal(
      (await read('validatingadmissionpolicies', '-l', 'app.kubernetes.io/instance=release')).items.length,
      4,
    );
  });

  it('is left as it was by an upgrade with bad values', async () => {
    const revision = async () =>
      (JSON.parse((await helm(['list', '-n', NAMESPACE, '-o', 'json'])).out) as { revision: string }[])[0]
        ?.revision;
    const earlier = await revision();
    await assert.rejects(upgrade({ replicas: 99 }), /maximum: got 99, want 5/);
    assert.equal(await revision(), earlier);
  });

  it('changes the number of replicas and the budget with it', async () => {
    const budgets = async () => (await read('pdb', '-n', NAMESPACE)).items.length;
    await upgrade({ replicas: 1 });
    assert.equal((await read('deployment', 'release', '-n', NAMESPACE)).spec.replicas, 1);
    assert.equal(await budgets(), 0);
    await upgrade({ replicas: 3 });
    assert.equal((await read('deployment', 'release', '-n', NAMESPACE)).spec.replicas, 3);
    assert.equal(await budgets(), 1);
  });

  it('says what it watches and what it lacks', async () => {
    const notes = async (values: object) => (await upgrade(values)).out.split('NOTES:')[1] ?? '';
    const plain = await notes({});
    assert.match(plain, /watches all namespaces, with 2 replicas of which one leads/);
    assert.match(plain, /inferenceImages\.cuda is not set: .*DeviceImageMissing/);
    const other = await notes({ watchNamespaces: ['watched'], admission: { enabled: false }, replicas: 1 });
    assert.match(other, /watches watched, with 1 replica\./);
    assert.match(other, /admission\.enabled is false/);
  });

  it('that watches one namespace has rights there and not elsewhere, and on no Secret', async () => {
    const operator = `system:serviceaccount:${NAMESPACE}:release`;
    await upgrade({ watchNamespaces: ['watched'] });
    // Before, the ClusterRole gave the right in every namespace.
    await eventually(
      'the ClusterRole is no more in force',
      async () => !(await may(operator, 'patch', 'deployments.apps', 'other')),
    );
    await eventually('the Role is in force', () => may(operator, 'patch', 'deployments.apps', 'watched'));
    await upgrade();
    await eventually(
      'the ClusterRole is in force',
      () => may(operator, 'patch', 'deployments.apps', 'other'),
      60_000,
    );
    assert.equal(await may(operator, 'get', 'secrets', 'other'), false);
    assert.equal(await may(operator, 'patch', 'leases.coordination.k8s.io/release'), true);
    assert.equal(await may(operator, 'patch', 'leases.coordination.k8s.io/release', 'other'), false);
  });

  it('lets whoever may view, edit or administer a namespace do so with detectors', async () => {
    for (const role of ['view', 'edit', 'admin']) {
      await kubectl([
        'create',
        'rolebinding',
        role,
        `--clusterrole=${role}`,
        `--user=${role}er`,
        '-n',
        'watched',
      ]);
    }
    for (const [user, verb, resource, expected] of [
      ['viewer', 'get', 'modeldeployments', true],
      ['viewer', 'watch', 'deepfakemodels', true],
      ['viewer', 'get', 'modeldeployments:status', true],
      ['viewer', 'create', 'modeldeployments', false],
      ['viewer', 'patch', 'modeldeployments:scale', false],
      ['editer', 'create', 'modeldeployments', true],
      ['editer', 'get', 'deepfakemodels', true],
      ['editer', 'patch', 'modeldeployments:scale', true],
      // Promotes, aborts and retries.
      ['editer', 'patch', 'modeldeployments:status', true],
      ['editer', 'update', 'modeldeployments:status', false],
      ['editer', 'patch', 'deepfakemodels:status', false],
      ['viewer', 'patch', 'modeldeployments:status', false],
      ['adminer', 'delete', 'deepfakemodels', true],
      ['adminer', 'patch', 'modeldeployments:scale', true],
      ['adminer', 'patch', 'deepfakemodels:status', false],
    ] as [string, string, string, boolean][]) {
      const what = `${user} ${expected ? 'may' : 'may not'} ${verb} ${resource}`;
      if (expected) await eventually(what, () => may(user, verb, resource, 'watched'), 60_000);
      else assert.equal(await may(user, verb, resource, 'watched'), false, what);
    }
  });

  it('that is removed leaves definitions and objects, and a later one takes them up', async () => {
    await uninstall();
    assert.deepEqual(
      await installedDefinitions(),
      definitions.map((name) => `customresourcedefinition.apiextensions.k8s.io/${name}`),
    );
    assert.equal((await read('dfm', 'kept', '-n', NAMESPACE)).metadata.name, 'kept');
    for (const kind of [
      'clusterroles',
      'clusterrolebindings',
      'validatingadmissionpolicies',
      'validatingadmissionpolicybindings',
    ]) {
      assert.deepEqual((await read(kind, '-l', 'app.kubernetes.io/instance=release')).items, [], kind);
    }
    await install();
  });

  it('of the same name in another namespace stands beside the first, which owns the definitions', async () => {
    const second = ['release', '--namespace=second'];
    await assert.rejects(
      install({ watchNamespaces: ['other'] }, CHART, second),
      (error) => error instanceof CommandError && /invalid ownership metadata/.test(error.output),
    );
    const values = { watchNamespaces: ['other'], crds: { install: false } };
    const { out } = await install(values, CHART, second);
    assert.match(out, /crds\.install is false[\s\S]*kubectl apply --server-side -f crds\//);
    await uninstall(second);
    assert.equal((await installedDefinitions()).length, 2);
  });

  it('without keep takes the definitions with it', async () => {
    await kubectl(['delete', 'dfm', 'kept', '-n', NAMESPACE]);
    await upgrade({ crds: { keep: false } });
    await uninstall();
    await eventually('the definitions go', async () => (await installedDefinitions()).length === 0, 60_000);
  });

  it('takes over definitions that kubectl installed, when told to', async () => {
    await kubectl(['apply', '--server-side', '-f', CRDS]);
    await assert.rejects(install(), /invalid ownership metadata/);
    await helm(['install', ...RELEASE, CHART, '--take-ownership', '--force-conflicts']);
    const { labels, annotations } = (await read('crd', definitions[0] ?? '')).metadata;
    assert.equal(labels['app.kubernetes.io/managed-by'], 'Helm');
    assert.equal(annotations['helm.sh/resource-policy'], 'keep');
    await uninstall();
  });
});

/** A kind of the Prometheus Operator as far as the chart writes to it. */
function foreignKind(kind: string): string {
  const plural = `${kind.toLowerCase()}s`;
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return JSON.stringify({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: open } } },
        },
      ],
    },
  });
}
