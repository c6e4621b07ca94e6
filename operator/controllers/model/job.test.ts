import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deepfakeModelSpec } from '../../api/deepfake-model.ts';
import { LABEL } from '../../api/names.ts';
import { aModel, DIGEST, IMAGE } from '../builders.ts';
import { claimPlacement } from '../claims.ts';
import { type Attempt, desiredJob } from './job.ts';

const http = { source: { http: { url: 'https://h/m.tar.gz' } }, digest: DIGEST };
const jobOf = (fields: object, changes: Partial<Attempt> = {}) => {
  const plan = desiredJob(aModel(), deepfakeModelSpec.parse(fields), {
    id: 'x',
    number: 2,
    mode: 'fetch',
    claimName: 'c',
    accessMode: 'ReadWriteOnce',
    maxBytes: 1_000,
    image: IMAGE,
    ...changes,
  });
  assert.ok('job' in plan, JSON.stringify(plan));
  return plan.job;
};
const podOf = (...args: Parameters<typeof jobOf>) => jobOf(...args).spec?.template.spec;
const containerOf = (...args: Parameters<typeof jobOf>) => podOf(...args)?.containers[0];

it('meets the restricted standard, is never retried by Kubernetes, and writes nowhere but to the claim and /tmp', () => {
  const { metadata, spec } = jobOf(http, { image: { ...IMAGE, pullSecrets: ['r'] } });
  const pod = spec?.template.spec;
  const [container] = pod?.containers ?? [];
  assert.equal(metadata.name, 'm-fetch-x-2');
  assert.deepEqual([spec?.backoffLimit, spec?.activeDeadlineSeconds], [0, 3600]);
  assert.equal(pod?.restartPolicy, 'Never');
  assert.deepEqual(pod?.imagePullSecrets, [{ name: 'r' }]);
  assert.equal(pod?.automountServiceAccountToken, false);
  assert.equal(pod?.securityContext?.runAsNonRoot, true);
  assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault');
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.deepEqual(
    container?.volumeMounts?.map(({ mountPath }) => mountPath),
    ['/models', '/tmp'],
  );
  assert.deepEqual(container?.ports, [{ name: 'progress', containerPort: 8081, protocol: 'TCP' }]);
  assert.equal(pod?.volumes?.find(({ name }) => name === 'tmp')?.emptyDir?.sizeLimit, '64Mi');
  assert.deepEqual(container?.args, [
    '--source={"http":{"url":"https://h/m.tar.gz"}}',
    '--destination=/models',
    `--digest=${DIGEST}`,
    '--max-bytes=1000',
    '--progress-port=8081',
  ]);
});

describe('the Job of a source', () => {
  const secretKey = (name: string, key: string, optional?: boolean) => ({
    valueFrom: { secretKeyRef: { name, key, ...(optional === undefined ? {} : { optional }) } },
  });
  const dockerConfig = { key: '.dockerconfigjson', path: 'config.json' };
  type Row = {
    what: string;
    source: object;
    argument: object;
    env?: object[];
    volumes?: object[];
    mounts?: string[];
    egress?: string;
  };
  const rows: Row[] = [
    {
      what: 'builtin',
      source: { builtin: { name: 'b' } },
      argument: { builtin: { name: 'b' } },
      egress: 'none',
    },
    {
      what: 'http with a token',
      source: { http: { url: 'https://h/m', secretRef: { name: 's' } } },
      argument: { http: { url: 'https://h/m' } },
      env: [{ name: 'SOURCE_AUTHORIZATION', ...secretKey('s', 'authorization') }],
    },
    {
      what: 's3 with keys',
      source: { s3: { bucket: 'bucket', key: 'k', endpoint: 'http://minio', secretRef: { name: 's' } } },
      argument: { s3: { bucket: 'bucket', key: 'k', region: 'us-east-1', endpoint: 'http://minio' } },
      env: [
        { name: 'AWS_ACCESS_KEY_ID', ...secretKey('s', 'AWS_ACCESS_KEY_ID') },
        { name: 'AWS_SECRET_ACCESS_KEY', ...secretKey('s', 'AWS_SECRET_ACCESS_KEY') },
        { name: 'AWS_SESSION_TOKEN', ...secretKey('s', 'AWS_SESSION_TOKEN', true) },
      ],
    },
    {
      what: 's3 for everybody',
      source: { s3: { bucket: 'bucket', prefix: 'p/', forcePathStyle: true } },
      argument: { s3: { bucket: 'bucket', prefix: 'p/', region: 'us-east-1', forcePathStyle: true } },
    },
    {
      what: 'huggingFace',
      source: { huggingFace: { repository: 'o/r', path: 'a/b', secretRef: { name: 's', key: 'k' } } },
      argument: { huggingFace: { repository: 'o/r', revision: 'main', path: 'a/b' } },
      env: [{ name: 'HF_TOKEN', ...secretKey('s', 'k') }],
    },
    {
      what: 'oci',
      source: { oci: { reference: 'r.test/m:1', plainHttp: true, secretRef: { name: 's' } } },
      argument: { oci: { reference: 'r.test/m:1', plainHttp: true } },
      env: [{ name: 'DOCKER_CONFIG', value: '/run/registry' }],
      volumes: [{ name: 'registry', secret: { secretName: 's', items: [dockerConfig] } }],
      mounts: ['/run/registry'],
    },
    {
      what: 'configMap',
      source: { configMap: { name: 'cm' } },
      argument: { configMap: { path: '/run/config-map/package.tar.gz' } },
      volumes: [
        {
          name: 'config-map',
          configMap: { name: 'cm', items: [{ key: 'package.tar.gz', path: 'package.tar.gz' }] },
        },
      ],
      mounts: ['/run/config-map'],
      egress: 'none',
    },
  ];
  for (const { what, source, argument, env, volumes = [], mounts = [], egress = 'source' } of rows) {
    it(`${what} has what the source needs, and no more`, () => {
      const template = jobOf({ source, digest: DIGEST }).spec?.template;
      const container = template?.spec?.containers[0];
      assert.deepEqual(JSON.parse(container?.args?.[0]?.replace('--source=', '') ?? ''), argument);
      assert.deepEqual(container?.env, env);
      assert.deepEqual(template?.spec?.volumes?.slice(2), volumes);
      assert.deepEqual(
        container?.volumeMounts?.slice(2).map(({ mountPath }) => mountPath),
        mounts,
      );
      assert.ok(container?.volumeMounts?.slice(2).every(({ readOnly }) => readOnly === true));
      assert.equal(template?.metadata?.labels?.[LABEL.egress], egress);
    });
  }

  it('pvc reads the package where it lies', () => {
    const source = { pvc: { claimName: 'c', path: 'a/b' } };
    const pod = podOf({ source, digest: DIGEST }, { maxBytes: undefined });
    assert.deepEqual(pod?.containers[0]?.args, [
      '--source={"pvc":{"path":"a/b"}}',
      '--destination=/models',
      `--digest=${DIGEST}`,
      `--max-bytes=${Number.MAX_SAFE_INTEGER}`,
      '--progress-port=8081',
    ]);
    assert.deepEqual(pod?.volumes?.[0]?.persistentVolumeClaim, { claimName: 'c', readOnly: true });
    assert.equal(pod?.containers[0]?.volumeMounts?.[0]?.readOnly, true);
  });

  it('with a private authority trusts its certificates', () => {
    const pod = podOf({ ...http, fetch: { caConfigMapRef: { name: 'ca' } } });
    assert.deepEqual(pod?.containers[0]?.env, [{ name: 'NODE_EXTRA_CA_CERTS', value: '/run/ca/ca.crt' }]);
    assert.deepEqual(pod?.volumes?.at(-1), {
      name: 'ca',
      configMap: { name: 'ca', items: [{ key: 'ca.crt', path: 'ca.crt' }] },
    });
  });
});

describe('the mode of an attempt', () => {
  const secret = { source: { http: { url: 'https://h/m', secretRef: { name: 's' } } }, digest: DIGEST };
  it('repair looks at what lies there', () => {
    assert.ok(containerOf(secret, { mode: 'repair' })?.args?.includes('--repair'));
    assert.ok(!containerOf(secret)?.args?.includes('--repair'));
  });

  it('verify reads the package of another model: no writing, no network, no credentials', () => {
    const template = jobOf(secret, { mode: 'verify', accessMode: 'ReadOnlyMany' }).spec?.template;
    const [container] = template?.spec?.containers ?? [];
    assert.equal(container?.args?.[0], `--source={"pvc":{"path":"${DIGEST.replace(':', '-')}"}}`);
    assert.equal(container?.env, undefined);
    assert.equal(container?.volumeMounts?.[0]?.readOnly, true);
    assert.equal(template?.spec?.volumes?.[0]?.persistentVolumeClaim?.readOnly, true);
    assert.equal(template?.metadata?.labels?.[LABEL.egress], 'none');
  });
});

describe('the pod of a claim', () => {
  const placement = claimPlacement([{ claimName: 'c' }]);
  it('that is ReadWriteOnce goes where other pods of the claim are', () => {
    const template = jobOf(http).spec?.template;
    const { labels } = template?.metadata ?? {};
    assert.deepEqual({ ...labels, ...placement.labels }, labels);
    assert.deepEqual(template?.spec?.affinity, placement.affinity);
  });
  it('that is ReadWriteMany goes anywhere', () => {
    assert.equal(podOf(http, { accessMode: 'ReadWriteMany' })?.affinity, undefined);
  });
  it('that is ReadOnlyMany writes it this once', () => {
    const pod = podOf(http, { accessMode: 'ReadOnlyMany' });
    assert.deepEqual(pod?.volumes?.[0]?.persistentVolumeClaim, { claimName: 'c' });
  });
});

describe('what the user adds', () => {
  const withTemplate = (spec: object) => ({ ...http, fetch: { deadlineSeconds: 60, template: { spec } } });
  it('is laid over the pod, and what the operator relies on stays', () => {
    const { spec } = jobOf(
      withTemplate({
        nodeSelector: { disk: 'fast' },
        affinity: { nodeAffinity: {} },
        containers: [{ name: 'fetch', env: [{ name: 'HTTPS_PROXY', value: 'http://p' }] }],
      }),
    );
    const pod = spec?.template.spec;
    assert.equal(spec?.activeDeadlineSeconds, 60);
    assert.deepEqual(pod?.nodeSelector, { disk: 'fast' });
    assert.deepEqual(pod?.containers[0]?.env, [{ name: 'HTTPS_PROXY', value: 'http://p' }]);
    assert.equal(pod?.containers[0]?.args?.length, 5);
    assert.deepEqual(pod?.affinity, { nodeAffinity: {}, ...claimPlacement([{ claimName: 'c' }]).affinity });
  });

  for (const { what, spec, message } of [
    {
      what: 'another command',
      spec: { containers: [{ name: 'fetch', command: ['sh'] }] },
      message: /command/,
    },
    {
      what: 'the network of the node',
      spec: { hostNetwork: true },
      message: /^spec\.fetch\.template\.spec\.hostNetwork: /,
    },
    { what: 'no container', spec: { containers: [{ name: 'fetch', $patch: 'delete' }] }, message: /\$patch/ },
  ]) {
    it(`is refused where it is ${what}`, () => {
      const plan = desiredJob(aModel(), deepfakeModelSpec.parse(withTemplate(spec)), {
        id: 'x',
        number: 1,
        mode: 'fetch',
        claimName: 'c',
        accessMode: 'ReadWriteMany',
        maxBytes: undefined,
        image: IMAGE,
      });
      assert.ok('problem' in plan);
      assert.equal(plan.problem.reason, 'ProtectedField');
      assert.match(plan.problem.message, message);
    });
  }
});
