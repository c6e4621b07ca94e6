/** The ValidatingAdmissionPolicies that the chart installs, in force on a real API server. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { REPOSITORY } from '../../hack/lib/paths.ts';
import { CommandError } from '../../hack/lib/process.ts';
import { admissionPolicies } from '../../operator/api/admission.ts';
import {
  type Json,
  type OwnContainer,
  overlayRules,
  overlayViolations,
} from '../../operator/api/overlay-rules.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../../operator/controllers/kinds.ts';
import { ApiError } from '../../operator/runtime/errors.ts';
import type { Kind, KubeObject } from '../../operator/runtime/object.ts';
import { overlayCases } from '../fixtures/overlays.ts';
import { DIGEST_A, Environment, eventually, type Namespace } from './environment.ts';
import { renderChart, tools } from './helm.ts';

let environment: Environment;
let namespace: Namespace;
let kubectl: (args: readonly string[], input?: string) => Promise<{ out: string; warnings: string }>;

before(async () => {
  environment = await Environment.start({ controllerManager: true });
  namespace = await environment.namespace();
  kubectl = async (args, input) => {
    const { kubectl: program } = tools(environment.controlPlane.kubeconfigPath);
    const { out, all } = await program(['-n', namespace.name, ...args], input);
    const warnings = all.split('\n').filter((line) => line.startsWith('Warning:'));
    return { out, warnings: warnings.join('\n') };
  };
  await namespace.model('older', model({ hostNetwork: true }));
  await kubectl(['apply', '-f', '-'], await renderChart(['--show-only=templates/admission.yaml']));
  await eventually(
    'the policies are in force',
    () => isRefused(MODEL_DEPLOYMENT, deployment({ hostPID: true })),
    60_000,
  );
  await eventually('all of them', () => isRefused(DEEPFAKE_MODEL, model({ hostPID: true })), 60_000);
});
after(() => environment.stop());

const EXAMPLES = join(REPOSITORY, 'docs/examples');

const builtin = { source: { builtin: { name: 'a' } } };
const model = (pod: Json) => ({ ...builtin, fetch: { template: { spec: pod } } });
const deployment = (pod: Json) => ({ models: [{ name: 'a' }], template: { spec: pod } });

/** Creates and removes again; undefined, or what the API server says against it. */
async function refusalOf(kind: Kind, spec: object): Promise<string | undefined> {
  const metadata = { name: 'a', namespace: namespace.name };
  try {
    await environment.client.create(kind, {
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata,
      spec,
    } as KubeObject);
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return error.detail;
    throw error;
  }
  await environment.client.delete(kind, metadata);
  return undefined;
}

const isRefused = async (kind: Kind, spec: object) => (await refusalOf(kind, spec)) !== undefined;

const overlays: readonly [OwnContainer, Kind, (pod: Json) => object, string][] = [
  ['inference', MODEL_DEPLOYMENT, deployment, 'spec.template.spec'],
  ['fetch', DEEPFAKE_MODEL, model, 'spec.fetch.template.spec'],
];

for (const [own, kind, withOverlay, at] of overlays) {
  describe(`a ${kind.kind} obeys the rule on`, () => {
    // A case for every rule is asked for by the rules' own test.
    for (const { rule, accepts, rejects } of overlayCases(own)) {
      it(rule, async () => {
        const message = overlayRules(own).find(({ name }) => name === rule)?.message;
        for (const pod of accepts) assert.equal(await refusalOf(kind, withOverlay(pod)), undefined);
        for (const pod of rejects) {
          const said = await refusalOf(kind, withOverlay(pod));
          assert.ok(said?.includes(`denied request: ${at}: ${message}`), `${JSON.stringify(pod)}: ${said}`);
        }
      });
    }
  });
}

/** Overlays of the table with something in them replaced by what nobody expects there. */
const damagedOverlay = (own: OwnContainer) => {
  const whole = overlayCases(own).flatMap(({ accepts, rejects }) => [...accepts, ...rejects]);
  const odd = fc.constantFrom<unknown>(
    null,
    'x',
    0,
    true,
    [],
    {},
    [null],
    ['x'],
    { name: null },
    { name: 5 },
  );
  return fc
    .tuple(fc.constantFrom(...whole), fc.constantFrom(...whole), fc.nat(), odd)
    .map(([first, second, at, value]) => replaceAt({ ...first, ...second }, at, value));
};

/** The value with its n-th member or item, counted through all levels, replaced. */
function replaceAt(pod: Json, at: number, value: unknown): Json {
  const copy = structuredClone(pod);
  const places: (() => void)[] = [];
  const visit = (part: unknown) => {
    if (typeof part !== 'object' || part === null) return;
    const holder = part as Record<string, unknown>;
    for (const key of Object.keys(holder)) {
      places.push(() => {
        holder[key] = value;
      });
      visit(holder[key]);
    }
  };
  visit(copy);
  places[at % places.length]?.();
  return copy;
}

for (const [own, kind, withOverlay] of overlays) {
  it(`of a ${kind.kind} the policy refuses what the operator would, whatever the overlay looks like`, async () => {
    const property = fc.asyncProperty(damagedOverlay(own), async (pod) => {
      const broken = overlayViolations(own, pod);
      const said = await refusalOf(kind, withOverlay(pod));
      assert.equal(said !== undefined, broken.length > 0, `${said}; ${JSON.stringify(broken)}`);
      if (said)
        assert.ok(
          broken.some(({ message }) => said.includes(message)),
          said,
        );
    });
    await fc.assert(property, { numRuns: 300, seed: 1 });
  });
}

for (const file of readdirSync(EXAMPLES)) {
  it(`the example ${file} is taken without a word`, async () => {
    const { warnings } = await kubectl(['create', '--dry-run=server', '-f', join(EXAMPLES, file)]);
    assert.equal(warnings, '');
  });
}

it('every validation of a policy that denies is one of these rules', () => {
  const denying = admissionPolicies().filter(({ severity }) => severity === 'Deny');
  assert.deepEqual(
    denying.map(({ spec }) => spec.validations.map(({ message }) => message)),
    overlays.map(([own, , , at]) => overlayRules(own).map(({ message }) => `${at}: ${message}`)),
  );
});

it('the API server finds nothing wrong with the types in any expression', async () => {
  for (const { name } of admissionPolicies()) {
    const checked = await eventually(
      `${name} is type-checked`,
      async () => {
        const { out } = await kubectl([
          'get',
          'validatingadmissionpolicy',
          `release-ns-release-${name}`,
          '-o',
          'json',
        ]);
        const policy = JSON.parse(out) as {
          metadata: { generation: number };
          status?: { observedGeneration?: number; typeChecking?: { expressionWarnings?: unknown[] } };
        };
        return policy.status?.observedGeneration === policy.metadata.generation ? policy.status : undefined;
      },
      60_000,
    );
    assert.deepEqual(checked.typeChecking?.expressionWarnings ?? [], [], name);
  }
});

it('what was stored before the policy came can be labelled and released, and not made worse', async () => {
  const ref = { name: 'older', namespace: namespace.name };
  const labelled = { metadata: { labels: { team: 'a' }, finalizers: ['deepfake-operator.io/in-use'] } };
  await environment.client.patch(DEEPFAKE_MODEL, ref, labelled);
  await environment.client.patch(DEEPFAKE_MODEL, ref, { metadata: { finalizers: [] } });
  await assert.rejects(
    environment.client.patch(DEEPFAKE_MODEL, ref, { spec: { version: '1.0.0' } }),
    /the operator decides about/,
  );
  const mended = { spec: { fetch: { template: { spec: { hostNetwork: null, dnsPolicy: 'Default' } } } } };
  await environment.client.patch(DEEPFAKE_MODEL, ref, mended);
  await namespace.delete(DEEPFAKE_MODEL, 'older');
});

it('a refusal reaches the person who applies', async () => {
  const manifest = {
    apiVersion: MODEL_DEPLOYMENT.apiVersion,
    kind: 'ModelDeployment',
    metadata: { name: 'c' },
  };
  await assert.rejects(
    kubectl(['apply', '-f', '-'], JSON.stringify({ ...manifest, spec: deployment({ nodeName: 'n' }) })),
    (error) =>
      error instanceof CommandError && /nodes are chosen by nodeSelector and affinity/.test(error.output),
  );
});

describe('a warning', () => {
  let told = '';
  const warningsOf = async (args: readonly string[], input?: string) => {
    const { warnings } = await kubectl(args, input);
    told += warnings;
    return warnings;
  };
  const apply = (name: string, spec: object) =>
    warningsOf(['apply', '--dry-run=server', '-f', '-'], manifest(name, spec));
  const manifest = (name: string, spec: object) =>
    JSON.stringify({
      apiVersion: 'deepfake-operator.io/v1alpha1',
      kind: 'DeepfakeModel',
      metadata: { name },
      spec,
    });
  const secretRef = { name: 's' };
  const reference = 'registry.test/models/a:1';

  for (const [what, source, plain] of [
    ['http', { http: { url: 'https://h/a.tgz' } }, { http: { url: 'http://h/a.tgz' } }],
    [
      's3',
      { s3: { bucket: 'abc', key: 'k' } },
      { s3: { bucket: 'abc', key: 'k', endpoint: 'http://minio:9000' } },
    ],
    [
      'huggingFace',
      { huggingFace: { repository: 'a/b', endpoint: 'https://mirror' } },
      { huggingFace: { repository: 'a/b', endpoint: 'http://mirror' } },
    ],
    ['oci', { oci: { reference } }, { oci: { reference, plainHttp: true } }],
  ] as [string, Record<string, object>, Record<string, object>][]) {
    it(`tells of plain http in ${what}, and does not refuse it`, async () => {
      assert.equal(await apply('w', { source, digest: DIGEST_A }), '');
      assert.match(
        await apply('w', { source: plain, digest: DIGEST_A }),
        /over plain http: the digest proves/,
      );
    });
    it(`tells of credentials sent over plain http in ${what}`, async () => {
      const withSecret = (member: Record<string, object>) => ({
        source: { [what]: { ...member[what], secretRef } },
        digest: DIGEST_A,
      });
      assert.equal(await apply('w', withSecret(source)), '');
      assert.match(
        await apply('w', withSecret(plain)),
        /sends the credentials of its secretRef over plain http/,
      );
    });
  }

  it('names who holds the deletion of a model in use, and none where nobody does', async () => {
    await namespace.model('used');
    await namespace.patch(DEEPFAKE_MODEL, 'used', { status: { usedBy: ['faces', 'voices'] } }, 'status');
    assert.match(
      await warningsOf(['delete', 'deepfakemodel', 'used']),
      /used by faces, voices: the DeepfakeModel stays until no ModelDeployment names it/,
    );
    await namespace.model('idle');
    assert.equal(await warningsOf(['delete', 'deepfakemodel', 'idle']), '');
  });

  it('has been seen of every rule that warns', () => {
    const warning = admissionPolicies().filter(({ severity }) => severity === 'Warn');
    for (const { message = '' } of warning.flatMap(({ spec }) => spec.validations)) {
      assert.ok(told.includes(message), message);
    }
  });
});

it('a release that watches some namespaces rules over these alone, and with Warn and Audit over none', async () => {
  const watched = await environment.namespace();
  const accepts = async (where: Namespace) => {
    try {
      await where.deployment('b', deployment({ hostIPC: true }));
    } catch (error) {
      if (error instanceof ApiError && error.status === 422) return false;
      throw error;
    }
    await where.delete(MODEL_DEPLOYMENT, 'b');
    return true;
  };
  const install = async (values: object) => {
    const manifests = await renderChart([
      '--show-only=templates/admission.yaml',
      `--set-json=${JSON.stringify(values)}`,
    ]);
    await kubectl(['apply', '-f', '-'], manifests);
  };
  await install({ watchNamespaces: [watched.name] });
  await eventually('other namespaces are free', () => accepts(namespace), 60_000);
  assert.equal(await accepts(watched), false);
  await install({ admission: { actions: ['Warn', 'Audit'] } });
  await eventually('nothing is refused any more', () => accepts(watched), 60_000);
});
