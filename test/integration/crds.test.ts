/** What the API server accepts and refuses of our kinds. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { customResourceDefinition, type KindDefinition } from '../../operator/api/crd.ts';
import { deepfakeModelDefinition } from '../../operator/api/deepfake-model.ts';
import { modelDeploymentDefinition } from '../../operator/api/model-deployment.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../operator/controllers/kinds.ts';
import { ApiError } from '../../operator/runtime/errors.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { deploymentExamples, modelExamples } from '../fixtures/examples.ts';
import { boundsOf, type Schema, schemaPlaces } from '../fixtures/schema-bounds.ts';
import { type Row, strategyRows } from '../fixtures/strategy-rows.ts';
import { CRD, DIGEST_A, Environment, type Namespace } from './environment.ts';
import { tools } from './helm.ts';

let environment: Environment;
let namespace: Namespace;
before(async () => {
  environment = await Environment.start();
  namespace = await environment.namespace();
});
after(() => environment.stop());

const http = { http: { url: 'https://models.test/a.tar.gz' } };
const s3 = (fields: object) => ({ source: { s3: { bucket: 'abc', ...fields } }, digest: DIGEST_A });
const huggingFace = (fields: object) => ({
  source: { huggingFace: { repository: 'a/b', ...fields } },
  digest: DIGEST_A,
});
const fetchOverlay = (metadata: object) => ({ source: builtin, fetch: { template: { metadata } } });
const builtin = { builtin: { name: 'a' } };
const pvc = (path: string) => ({ source: { pvc: { claimName: 'c', path } }, digest: DIGEST_A });
const claim = (fields: object) => ({ source: builtin, storage: { pvc: fields } });
const models = [{ name: 'a' }];

const modelRows: readonly Row[] = [
  {
    what: 'one source and no other',
    accepts: { source: builtin },
    rejects: { source: { ...builtin, ...http }, digest: DIGEST_A },
    says: /exactly one of source\.builtin, source\.http, .* has to be set/,
  },
  {
    what: 'some source',
    accepts: { source: http, digest: DIGEST_A },
    rejects: { source: {}, digest: DIGEST_A },
    says: /exactly one of source\.builtin/,
  },
  {
    what: 'a digest for http',
    accepts: { source: http, digest: DIGEST_A },
    rejects: { source: http },
    says: /digest is required/,
  },
  {
    what: 'a digest for pvc',
    accepts: pvc('a/b'),
    rejects: { source: pvc('a').source },
    says: /digest is required/,
  },
  {
    what: 'a whole digest',
    accepts: { source: builtin, digest: DIGEST_A },
    rejects: { source: builtin, digest: 'sha256:ab' },
    says: /spec\.digest/,
  },
  {
    what: 'a url without credentials',
    accepts: { source: { http: { url: 'http://h/x@y.tar.gz' } }, digest: DIGEST_A },
    rejects: { source: { http: { url: 'http://user:pw@h/x.tar.gz' } }, digest: DIGEST_A },
    says: /carries no credentials/,
  },
  {
    what: 'a path inside the volume',
    accepts: pvc('a/..b'),
    rejects: pvc('a/../../b'),
    says: /no '\.' and no '\.\.'/,
  },
  {
    what: 'an archive or a folder in S3',
    accepts: s3({ prefix: 'models/a' }),
    rejects: s3({ key: 'a.tgz', prefix: 'models/a' }),
    says: /exactly one of s3\.key/,
  },
  {
    what: 'one of them',
    accepts: s3({ key: 'a.tgz' }),
    rejects: s3({}),
    says: /exactly one of s3\.key/,
  },
  {
    what: 'a key of S3 that names one object alone',
    accepts: s3({ key: 'a/..b.tgz' }),
    rejects: s3({ key: 'a/../b.tgz' }),
    says: /s3\.key.*no part '\.' or '\.\.'/,
  },
  {
    what: 'a prefix of S3 that names one folder alone',
    accepts: s3({ prefix: 'a/b' }),
    rejects: s3({ prefix: 'a/./b' }),
    says: /s3\.prefix.*no part '\.' or '\.\.'/,
  },
  {
    what: 'an endpoint of S3 without credentials',
    accepts: s3({ key: 'a', endpoint: 'https://minio:9000/base' }),
    rejects: s3({ key: 'a', endpoint: 'https://me:pw@minio:9000' }),
    says: /s3\.endpoint.*carries no credentials/,
  },
  {
    what: 'a mirror of the Hub without credentials',
    accepts: huggingFace({ endpoint: 'https://mirror.test' }),
    rejects: huggingFace({ endpoint: 'https://token@mirror.test' }),
    says: /huggingFace\.endpoint.*carries no credentials/,
  },
  {
    what: 'a folder inside the repository',
    accepts: huggingFace({ path: 'models/a' }),
    rejects: huggingFace({ path: './a' }),
    says: /no '\.' and no '\.\.'/,
  },
  {
    what: 'foreign labels on fetch pods',
    accepts: fetchOverlay({ labels: { team: 'a' } }),
    rejects: fetchOverlay({ labels: { 'deepfake-operator.io/model': 'b' } }),
    says: /labels under .* are the operator's own/,
  },
  {
    what: 'foreign annotations on fetch pods',
    accepts: fetchOverlay({ annotations: { 'a.b/c': 'd' } }),
    rejects: fetchOverlay({ annotations: { 'app.kubernetes.io/name': 'd' } }),
    says: /annotations under .* are the operator's own/,
  },
  {
    what: 'AppArmor profiles of its pods in the field that is looked at',
    accepts: fetchOverlay({ annotations: { 'container.apparmor.example.org/fetch': 'unconfined' } }),
    rejects: fetchOverlay({
      annotations: { 'container.apparmor.security.beta.kubernetes.io/fetch': 'unconfined' },
    }),
    says: /choose a profile by securityContext\.appArmorProfile/,
  },
  {
    what: 'no storage beside source.pvc',
    accepts: pvc('a'),
    rejects: { ...pvc('a'), storage: { pvc: { size: '1Gi' } } },
    says: /storage contradicts source\.pvc/,
  },
  {
    what: 'a size above zero',
    accepts: claim({ size: '100Mi' }),
    rejects: claim({ size: '0' }),
    says: /quantity above zero/,
  },
  {
    what: 'a size that is a quantity',
    accepts: claim({ size: '1.5Gi' }),
    rejects: claim({ size: 'big' }),
    says: /quantity above zero/,
  },
  {
    what: 'a claim that the pods of a rollout can share',
    accepts: claim({ accessMode: 'ReadWriteMany' }),
    rejects: claim({ accessMode: 'ReadWriteOncePod' }),
    says: /Unsupported value: "ReadWriteOncePod"/,
  },
  {
    what: 'an existing claim as it is',
    accepts: claim({ existingClaim: 'c' }),
    rejects: claim({ existingClaim: 'c', size: '1Gi' }),
    says: /existingClaim is a claim as it is/,
  },
  {
    what: 'a semantic version',
    accepts: { source: builtin, version: '1.2.3-rc.1' },
    rejects: { source: builtin, version: 'v1' },
    says: /spec\.version/,
  },
  {
    what: 'a known modality',
    accepts: { source: builtin, modality: 'audio' },
    rejects: { source: builtin, modality: 'text' },
    says: /Unsupported value: "text"/,
  },
];

const cpuMetric = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
const deploymentRows: readonly Row[] = [
  { what: 'at least one model', accepts: { models }, rejects: { models: [] }, says: /spec\.models/ },
  {
    what: 'every model once',
    accepts: { models: [...models, { name: 'b' }] },
    rejects: { models: [...models, ...models] },
    says: /Duplicate value/,
  },
  {
    what: 'replicas left to the autoscaler',
    accepts: { models, replicas: 1, autoscaling: { maxReplicas: 2 } },
    rejects: { models, replicas: 2, autoscaling: { maxReplicas: 2 } },
    says: /replicas and autoscaling exclude each other/,
  },
  {
    what: 'min up to max',
    accepts: { models, autoscaling: { minReplicas: 2, maxReplicas: 2 } },
    rejects: { models, autoscaling: { minReplicas: 3, maxReplicas: 2 } },
    says: /minReplicas must not exceed maxReplicas/,
  },
  {
    what: 'one way to say the target',
    accepts: { models, autoscaling: { maxReplicas: 2, metrics: [cpuMetric] } },
    rejects: {
      models,
      autoscaling: { maxReplicas: 2, metrics: [cpuMetric], targetCPUUtilizationPercentage: 50 },
    },
    says: /exclude each other: put a CPU metric into metrics/,
  },
  {
    what: 'cuda with a gpu',
    accepts: { models, device: 'cuda', gpu: {} },
    rejects: { models, device: 'cuda' },
    says: /need gpu/,
  },
  {
    what: 'one resource claim',
    accepts: { models, gpu: { resourceClaimName: 'a', runtimeClassName: 'nvidia' } },
    rejects: { models, gpu: { resourceClaimName: 'a', resourceClaimTemplateName: 'b' } },
    says: /exclude each other/,
  },
  {
    what: 'a resource claim or a count',
    accepts: { models, gpu: { resourceClaimTemplateName: 'b' } },
    rejects: { models, gpu: { resourceClaimTemplateName: 'b', count: 2 } },
    says: /leave resourceName and count out/,
  },
  {
    what: 'every namespace once',
    accepts: { models, networkPolicy: { allowedNamespaces: ['a', 'b'] } },
    rejects: { models, networkPolicy: { allowedNamespaces: ['a', 'a'] } },
    says: /Duplicate value/,
  },
  {
    what: 'the accelerator once',
    accepts: {
      models,
      gpu: { resourceName: 'nvidia.com/mig-1g.10gb' },
      resources: { limits: { 'nvidia.com/gpu': 1 } },
    },
    rejects: { models, gpu: {}, resources: { limits: { 'nvidia.com/gpu': 1 } } },
    says: /counted by gpu\.count alone/,
  },
  {
    what: 'a qualified resource name',
    accepts: { models, gpu: { resourceName: 'a.b/c' } },
    rejects: { models, gpu: { resourceName: 'gpu' } },
    says: /gpu\.resourceName/,
  },
  {
    what: 'one kind of disruption limit',
    accepts: { models, disruption: { minAvailable: '50%' } },
    rejects: { models, disruption: { minAvailable: 1, maxUnavailable: 1 } },
    says: /exactly one of disruption/,
  },
  {
    what: 'a percentage',
    accepts: { models, disruption: { maxUnavailable: 0 } },
    rejects: { models, disruption: { maxUnavailable: 'half' } },
    says: /maxUnavailable/,
  },
  {
    what: 'a quantity',
    accepts: { models, resources: { limits: { cpu: '1.5', memory: 2 } } },
    rejects: { models, resources: { limits: { cpu: 'fast' } } },
    says: /limits\.cpu/,
  },
  {
    what: 'foreign labels only',
    accepts: { models, template: { metadata: { labels: { team: 'a' } } } },
    rejects: { models, template: { metadata: { labels: { 'app.kubernetes.io/name': 'a' } } } },
    says: /labels under .* are the operator's own/,
  },
  {
    what: 'foreign annotations only',
    accepts: { models, template: { metadata: { annotations: { 'a.b/c': 'd' } } } },
    rejects: { models, template: { metadata: { annotations: { 'deepfake-operator.io/x': 'd' } } } },
    says: /annotations under .* are the operator's own/,
  },
  {
    what: 'AppArmor profiles of its pods in the field that is looked at',
    accepts: {
      models,
      template: { spec: { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } } },
    },
    rejects: {
      models,
      template: {
        metadata: {
          annotations: { 'container.apparmor.security.beta.kubernetes.io/inference': 'unconfined' },
        },
      },
    },
    says: /choose a profile by securityContext\.appArmorProfile/,
  },
  ...strategyRows,
];

/** Asks without storing anything: only what the API server says matters. */
async function create(kind: Kind, name: string, spec: object): Promise<KubeObject> {
  const { apiVersion, kind: kindName } = kind;
  const metadata = { name, namespace: namespace.name };
  const object = { apiVersion, kind: kindName, metadata, spec } as KubeObject;
  const created = await environment.client.create(kind, object);
  await environment.client.delete(kind, metadata);
  return created;
}

/** Every refusal in the server's words. */
const refusals: string[] = [];

const refusal = (says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ApiError, String(error));
  assert.equal(error.status, 422);
  // As schemas name their places: whichever item it was.
  refusals.push(error.detail.replace(/\[\d+\]/g, '[]'));
  assert.match(error.detail, says);
  return true;
};

it('the API server takes both definitions without complaint', async () => {
  const { items } = await environment.client.list(CRD);
  const ours = items.filter(({ metadata }) => metadata.name.endsWith('.deepfake-operator.io'));
  assert.equal(ours.length, 2);
  for (const crd of ours) {
    const { conditions } = (crd as unknown as { status: { conditions: { type: string; status: string }[] } })
      .status;
    assert.equal(conditions.find(({ type }) => type === 'Established')?.status, 'True');
    assert.equal(
      conditions.find(({ type }) => type === 'NonStructuralSchema'),
      undefined,
    );
  }
});

for (const [kind, rows] of [
  [DEEPFAKE_MODEL, modelRows],
  [MODEL_DEPLOYMENT, deploymentRows],
] as [Kind, readonly Row[]][]) {
  describe(`${kind.kind} asks for`, () => {
    for (const { what, accepts, rejects, says } of rows) {
      it(what, async () => {
        await create(kind, 'a', accepts);
        await assert.rejects(create(kind, 'a', rejects), refusal(says));
      });
    }
  });
}

describe('names', () => {
  for (const [kind, spec, good, bad] of [
    [DEEPFAKE_MODEL, { source: builtin }, 'a'.repeat(40), 'a'.repeat(41)],
    [DEEPFAKE_MODEL, { source: builtin }, 'a-1', 'a.b'],
    [MODEL_DEPLOYMENT, { models }, 'a'.repeat(50), 'a'.repeat(51)],
    [MODEL_DEPLOYMENT, { models }, 'a1', '1a'],
  ] as [Kind, object, string, string][]) {
    it(`${kind.kind}: ${good} but not ${bad}`, async () => {
      await create(kind, good, spec);
      await assert.rejects(create(kind, bad, spec), refusal(/metadata\.name has to be/));
    });
  }
});

describe('a DeepfakeModel may', () => {
  const rows: { what: string; before: object; allowed: object; refused: object; says: RegExp }[] = [
    {
      what: 'take back a size that its class refused, not move to another storage class',
      before: claim({ storageClassName: 'a', size: '2Gi' }),
      allowed: claim({ storageClassName: 'a', size: '1Gi' }),
      refused: claim({ storageClassName: 'b' }),
      says: /storageClassName is immutable/,
    },
    {
      what: 'not change the access mode',
      before: { source: builtin },
      allowed: claim({ accessMode: 'ReadWriteOnce' }),
      refused: claim({ accessMode: 'ReadWriteMany' }),
      says: /accessMode is immutable/,
    },
    {
      what: 'not move to another claim',
      before: claim({ existingClaim: 'a' }),
      allowed: claim({ existingClaim: 'a' }),
      refused: claim({ existingClaim: 'b' }),
      says: /existingClaim is immutable/,
    },
    {
      what: 'change its source, not its modality',
      before: { source: builtin, modality: 'image' },
      allowed: { source: http, digest: DIGEST_A, modality: 'image' },
      refused: { source: builtin, modality: 'audio' },
      says: /modality is immutable/,
    },
  ];
  for (const { what, before: first, allowed, refused, says } of rows) {
    it(what, async () => {
      const replaceSpec = (spec: object) =>
        environment.client.patch(
          DEEPFAKE_MODEL,
          { namespace: namespace.name, name: 'changing' },
          [{ op: 'replace', path: '/spec', value: spec }],
          { type: 'json' },
        );
      await namespace.model('changing', first);
      await assert.rejects(replaceSpec(refused), refusal(says));
      await replaceSpec(allowed);
      await namespace.delete(DEEPFAKE_MODEL, 'changing');
    });
  }
});

it('defaults are filled in by the API server', async () => {
  const created = (await create(MODEL_DEPLOYMENT, 'a', {
    models,
    gpu: {},
    auth: { secretRef: { name: 's' } },
  })) as KubeObject & {
    spec: unknown;
  };
  assert.deepEqual(created.spec, {
    models,
    device: 'cpu',
    gpu: {},
    replicas: 1,
    resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { memory: '1Gi' } },
    auth: { secretRef: { name: 's', key: 'api-key' } },
    paused: false,
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 5,
  });
});

it('the scale subresource reads and writes the number of pods and names their selector', async () => {
  await namespace.deployment('scaled', { models, replicas: 1 });
  const status = { replicas: 1, selector: 'deepfake-operator.io/model-deployment=scaled' };
  await namespace.patch(MODEL_DEPLOYMENT, 'scaled', { status }, 'status');
  const scale = await namespace.patch(MODEL_DEPLOYMENT, 'scaled', { spec: { replicas: 3 } }, 'scale');
  assert.deepEqual((scale as unknown as { status: unknown }).status, status);
  assert.equal((await namespace.find(MODEL_DEPLOYMENT, 'scaled'))?.spec.replicas, 3);
});

const definitions: readonly [Kind, KindDefinition, readonly object[]][] = [
  [DEEPFAKE_MODEL, deepfakeModelDefinition, modelExamples],
  [MODEL_DEPLOYMENT, modelDeploymentDefinition, deploymentExamples],
];

/** The schema of the object as the API server gets it. */
function schemaOf(definition: KindDefinition): Schema {
  const { spec } = customResourceDefinition(definition) as unknown as {
    spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
  };
  return spec.versions[0]?.schema.openAPIV3Schema ?? {};
}

for (const [kind, definition, examples] of definitions) {
  const schema = schemaOf(definition);
  const specSchema = schema.properties?.['spec'] ?? {};

  it(`every rule of ${kind.kind} was seen to refuse`, () => {
    for (const { path, schema: place } of schemaPlaces(schema)) {
      for (const { message } of place['x-kubernetes-validations'] ?? []) {
        const at = `${path === '' ? '<nil>' : path}: `;
        assert.ok(
          refusals.some((detail) => detail.includes(at) && detail.includes(message)),
          `no refusal at ${at}${message}`,
        );
      }
    }
  });

  describe(`the examples of ${kind.kind}`, () => {
    it('are accepted', async () => {
      for (const example of examples) await create(kind, 'a', example);
    });
    it('use every field', () => {
      const used = new Set(examples.flatMap((example) => boundsOf(specSchema, example).paths));
      for (const { path } of schemaPlaces(specSchema)) assert.ok(used.has(path), `spec.${path}`);
    });
  });

  describe(`out of its bounds is refused in ${kind.kind}:`, () => {
    const seen = new Set<string>();
    for (const example of examples) {
      for (const { path, bound, says, spec } of boundsOf(specSchema, example).broken) {
        if (seen.has(`${path} ${bound}`)) continue;
        seen.add(`${path} ${bound}`);
        it(`${path} ${bound}`, async () => {
          await assert.rejects(create(kind, 'a', spec), refusal(says));
        });
      }
    }
  });
}

describe('kubectl explain', () => {
  const explain = async (...args: string[]) =>
    (await tools(environment.controlPlane.kubeconfigPath).kubectl(['explain', ...args])).out;
  for (const [path, ...lines] of [
    [
      'modeldeployment',
      /Deepfake detectors served by a set of pods/,
      /FIELDS:/,
      /spec\s+<Object> -required-/,
    ],
    [
      'mdep.spec',
      /What to serve, where, and how many times/,
      /models\s+<\[\]Object> -required-/,
      /enum: cpu, cuda, tensorrt/,
    ],
    ['mdep.spec.gpu', /A ResourceClaimTemplate in the same namespace/, /MIG slice/],
    ['mdep.spec.template.spec', /A fragment of a core\/v1 PodSpec/],
    ['mdep.status.conditions', /Why, for a person, and what to do/],
    ['dfm.spec.source', /exactly one of the members/, /huggingFace\s+<Object>/],
    ['dfm.spec.digest', /sha256sum model\.yaml/],
    ['dfm.spec.storage.pvc', /Models of a namespace with the same\s+digest/, /retain\s+<boolean>/],
    ['dfm.status.fetch', /Bytes received by the running attempt/],
  ] as [string, ...RegExp[]][]) {
    it(`tells what ${path} is`, async () => {
      const text = (await explain(path)).replace(/\n\s+/g, ' ');
      for (const line of lines) assert.match(text, line);
      assert.doesNotMatch(text, /<no description>/);
    });
  }

  it('has something to say about every field of both kinds', async () => {
    for (const { plural } of [DEEPFAKE_MODEL, MODEL_DEPLOYMENT]) {
      for (const field of ['spec', 'status']) {
        assert.doesNotMatch(await explain(`${plural}.${field}`), /<no description>/, `${plural}.${field}`);
      }
    }
  });
});
