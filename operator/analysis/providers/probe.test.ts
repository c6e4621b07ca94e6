import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readArguments } from '../../../inference/probe/command.ts';
import { probeReport } from '../../../inference/probe/figures.ts';
import { LABEL } from '../../api/names.ts';
import { aJob, aModelDeployment, aPod, DIGEST, IMAGE } from '../../controllers/builders.ts';
import { claimPlacement } from '../../controllers/claims.ts';
import { desiredProbeJob, type ProbeInput, type ProbeSet, probeJobName, probeKeysOf } from './probe-job.ts';
import { judgeProbe, type ProbeReport, probeOutcome } from './probe-outcome.ts';

const jobOf = (probeSet: ProbeSet, changes: Partial<ProbeInput> = {}, spec: object = {}) => {
  const owner = aModelDeployment({ models: [{ name: 'first' }, { name: 'second' }], ...spec });
  return desiredProbeJob({
    owner,
    spec: owner.spec,
    metric: 'auc',
    probeSet,
    name: 'd-p1',
    canaryUrl: 'http://d-canary.ns.svc',
    stableUrl: 'http://d-stable.ns.svc',
    image: IMAGE,
    ...changes,
  });
};
const podOf = (...args: Parameters<typeof jobOf>) => jobOf(...args).spec?.template;
const containerOf = (...args: Parameters<typeof jobOf>) => podOf(...args)?.spec?.containers[0];
const configMap = { configMap: { name: 'media' }, minAuc: 0.9 };

describe('the Job of a probe', () => {
  test('meets the restricted standard, is never retried, reads the key by its name alone, and writes nowhere but to /tmp', () => {
    const { metadata, spec } = jobOf(configMap, { image: { ...IMAGE, pullSecrets: ['r'] } });
    const pod = spec?.template.spec;
    const [container] = pod?.containers ?? [];
    assert.deepEqual([metadata.name, metadata.namespace], ['d-p1', 'ns']);
    assert.deepEqual(
      metadata.ownerReferences?.map(({ kind, name, controller }) => [kind, name, controller]),
      [['ModelDeployment', 'd', true]],
    );
    assert.deepEqual(
      [spec?.backoffLimit, spec?.activeDeadlineSeconds, spec?.ttlSecondsAfterFinished, pod?.restartPolicy],
      [0, 600, 3600, 'Never'],
    );
    assert.deepEqual(pod?.imagePullSecrets, [{ name: 'r' }]);
    assert.equal(pod?.automountServiceAccountToken, false);
    assert.equal(pod?.securityContext?.runAsNonRoot, true);
    assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault');
    assert.deepEqual(container?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.deepEqual(container?.env, [
      { name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'd-api-key', key: 'api-key' } } },
    ]);
    assert.deepEqual(
      container?.volumeMounts?.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
      [
        ['/media', true],
        ['/tmp', undefined],
      ],
    );
  });

  test('takes the key that the pods take', () => {
    const auth = { secretRef: { name: 'mine', key: 'k' } };
    assert.deepEqual(containerOf(configMap, {}, { auth })?.env?.[0]?.valueFrom?.secretKeyRef, auth.secretRef);
  });

  test('is found by its deployment, and no Service takes its pods for serving ones', () => {
    const job = jobOf(configMap);
    assert.deepEqual(probeKeysOf(job), ['ns/d']);
    const { labels = {} } = podOf(configMap)?.metadata ?? {};
    assert.equal(labels[LABEL.probe], 'd');
    assert.equal(labels[LABEL.managedBy], 'deepfake-operator');
    assert.ok(!(LABEL.modelDeployment in labels));
    assert.deepEqual(probeKeysOf(aModelDeployment()), []);
  });

  const sources: {
    name: string;
    probeSet: ProbeSet;
    args: string[];
    volume: object | undefined;
    egress: string;
  }[] = [
    {
      name: 'a ConfigMap',
      probeSet: configMap,
      args: ['--media=/media'],
      volume: { name: 'media', configMap: { name: 'media' } },
      egress: 'deployment',
    },
    {
      name: 'a claim, read only',
      probeSet: { pvc: { claimName: 'c' }, minAuc: 0.9 },
      args: ['--media=/media'],
      volume: { name: 'media', persistentVolumeClaim: { claimName: 'c', readOnly: true } },
      egress: 'deployment',
    },
    {
      name: 'a folder of a claim',
      probeSet: { pvc: { claimName: 'c', path: '/sets/faces/' }, minAuc: 0.9 },
      args: ['--media=/media/sets/faces'],
      volume: { name: 'media', persistentVolumeClaim: { claimName: 'c', readOnly: true } },
      egress: 'deployment',
    },
    {
      name: 'an address',
      probeSet: { http: { url: 'https://h/m.tar.gz', digest: DIGEST }, minAuc: 0.9 },
      args: ['--media-url=https://h/m.tar.gz', `--media-digest=${DIGEST}`],
      volume: undefined,
      egress: 'source',
    },
  ];
  for (const { name, probeSet, args, volume, egress } of sources) {
    test(`takes media from ${name}`, () => {
      const { metadata, spec } = podOf(probeSet) ?? {};
      const given = spec?.containers[0]?.args ?? [];
      assert.deepEqual(
        given.filter((argument) => argument.startsWith('--media')),
        args,
      );
      assert.deepEqual(
        spec?.volumes?.find((one) => one.name === 'media'),
        volume,
      );
      assert.equal(metadata?.labels?.[LABEL.egress], egress);
    });
  }

  test('goes where the claim is', () => {
    const { labels, affinity } = claimPlacement([{ claimName: 'c' }]);
    const { metadata, spec } = podOf({ pvc: { claimName: 'c' }, minAuc: 0.9 }) ?? {};
    for (const [key, value] of Object.entries(labels)) assert.equal(metadata?.labels?.[key], value);
    assert.deepEqual(spec?.affinity, affinity);
  });

  test('gives the command arguments that it takes', () => {
    const of = (...args: Parameters<typeof jobOf>) =>
      readArguments(containerOf(...args)?.args ?? [], { API_KEY: 'k' });
    const { canary, stable, media, model, limitMs, result, apiKey } = of({
      ...configMap,
      timeoutSeconds: 60,
    });
    assert.deepEqual(
      { canary, stable, media, model, limitMs, result, apiKey },
      {
        canary: 'http://d-canary.ns.svc',
        stable: 'http://d-stable.ns.svc',
        media: { folder: '/media' },
        model: 'first',
        limitMs: 55_000,
        result: '/dev/termination-log',
        apiKey: 'k',
      },
    );
    assert.equal(of({ ...configMap, model: 'second' }).model, 'second');
    assert.equal(of(configMap, { stableUrl: undefined }).stable, undefined);
  });

  test('has a name of its own for every measurement, and the same for one', () => {
    const identity = { revision: 'r', analysis: 'step-1', analysisStartedAt: 't', metric: 'auc', taken: 0 };
    const owner = aModelDeployment({}, 'd'.repeat(50));
    const name = probeJobName(owner, identity);
    assert.ok(name.length <= 63);
    assert.equal(probeJobName(owner, { ...identity }), name);
    for (const change of [{ revision: 's' }, { taken: 1 }, { analysisStartedAt: 'u' }, { metric: 'b' }])
      assert.notEqual(probeJobName(owner, { ...identity, ...change }), name);
  });
});

const side = { version: '1', scored: 20, inconclusive: 0, unanswered: 0, auc: 0.95, accuracy: 0.9 };
const aReport = (changes: Partial<ProbeReport> = {}): ProbeReport => ({
  files: 20,
  compared: 20,
  canary: side,
  stable: side,
  maxScoreChange: 0.1,
  flips: 0.05,
  worst: [{ path: 'a.jpg', fake: true, canary: 0.2, stable: 0.9 }],
  ...changes,
});

describe('what a probe left', () => {
  const ended = (message: string) => aPod({ name: 'probe', state: { terminated: { exitCode: 0, message } } });
  const now = Date.parse('2026-01-01T00:00:10Z');
  const late = Date.parse('2026-01-01T00:05:00Z');
  const complete = aJob({ type: 'Complete' });
  const failed = aJob({ type: 'Failed', reason: 'BackoffLimitExceeded', message: 'it failed' });

  test('is a report, as the command writes it', () => {
    const by = { model: 'm', version: '1', digest: DIGEST, threshold: 0.5 };
    const written = probeReport(
      [
        {
          path: 'a',
          fake: true,
          canary: { type: 'scored', score: 0.9, verdict: 'DEEPFAKE' },
          stable: { type: 'inconclusive', verdict: 'INCONCLUSIVE', reasons: ['no_face'] },
        },
      ],
      { canary: by, stable: by },
    );
    const outcome = probeOutcome(complete, [ended(JSON.stringify(written))], now);
    assert.equal(outcome.state, 'measured');
    assert.ok(outcome.state === 'measured' && outcome.report.stable?.inconclusive === 1);
  });

  const rows = [
    { name: 'of a Job that runs', job: aJob(), pods: [], at: now, expected: { state: 'running' } },
    {
      name: 'of a Job whose image is not there',
      job: aJob(),
      pods: [aPod({ state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } })],
      at: now,
      expected: { state: 'running', problem: /ImagePull.*no such image/ },
    },
    {
      name: 'that says why nothing was measured',
      job: failed,
      pods: [ended('{"error":{"reason":"Unauthorized","message":"no key"}}')],
      at: now,
      expected: { state: 'failed', message: /^Unauthorized: no key$/ },
    },
    {
      name: 'of which the pod is not seen yet',
      job: complete,
      pods: [],
      at: now,
      expected: { state: 'unknown' },
    },
    {
      name: 'of which the pod is never seen',
      job: complete,
      pods: [],
      at: late,
      expected: { state: 'failed', message: /its pod left no message/ },
    },
    {
      name: 'that is no report',
      job: complete,
      pods: [ended('{"files":"many"}')],
      at: now,
      expected: { state: 'failed', message: /"many"/ },
    },
    {
      name: 'of a program that broke',
      job: failed,
      pods: [ended('Error: out')],
      at: now,
      expected: { state: 'failed', message: /^Error: out$/ },
    },
    {
      name: 'of a Job that took too long',
      job: aJob({ type: 'Failed', reason: 'DeadlineExceeded', message: 'was active longer' }),
      pods: [],
      at: now,
      expected: { state: 'failed', message: /^DeadlineExceeded: was active longer$/ },
    },
  ];
  for (const { name, job, pods, at, expected } of rows) {
    test(`${name} is ${expected.state}`, () => {
      const found = probeOutcome(job, pods, at);
      assert.equal(found.state, expected.state);
      if ('message' in expected && expected.message)
        assert.match('message' in found ? found.message : '', expected.message);
      if ('problem' in expected && expected.problem)
        assert.match('problem' in found ? (found.problem ?? '') : '', expected.problem);
    });
  }
});

describe('a report of a probe', () => {
  const rows: {
    name: string;
    probeSet: Partial<ProbeSet>;
    report?: Partial<ProbeReport>;
    phase: string;
    message?: RegExp;
  }[] = [
    {
      name: 'within all bounds',
      probeSet: { minAuc: 0.95, maxAucDrop: 0, minAccuracy: 0.9, maxScoreChange: 0.1, maxFlips: 0.05 },
      phase: 'Successful',
    },
    {
      name: 'with a lower AUC',
      probeSet: { minAuc: 0.96 },
      phase: 'Failed',
      message: /^AUC is 0\.95, less than minAuc 0\.96; worst: a\.jpg \(fake: 0\.2, before 0\.9\)$/,
    },
    {
      name: 'with an AUC that dropped',
      probeSet: { maxAucDrop: 0.02 },
      report: { canary: { ...side, auc: 0.9 } },
      phase: 'Failed',
      message: /AUC drop is 0\.05, more than maxAucDrop 0\.02/,
    },
    {
      name: 'with an AUC that dropped as far as it may',
      probeSet: { maxAucDrop: 0.02 },
      report: { stable: { ...side, auc: 0.97 } },
      phase: 'Successful',
    },
    {
      name: 'with an AUC that rose',
      probeSet: { maxAucDrop: 0.02 },
      report: { canary: { ...side, auc: 1 } },
      phase: 'Successful',
    },
    {
      name: 'with a lower accuracy',
      probeSet: { minAccuracy: 0.95 },
      phase: 'Failed',
      message: /accuracy is 0\.9/,
    },
    {
      name: 'with a score that changed',
      probeSet: { maxScoreChange: 0.05 },
      phase: 'Failed',
      message: /largest score change is 0\.1/,
    },
    {
      name: 'with flipped verdicts',
      probeSet: { maxFlips: 0.01 },
      phase: 'Failed',
      message: /share of flipped verdicts is 0\.05/,
    },
    {
      name: 'that breaks several bounds',
      probeSet: { minAuc: 0.99, maxFlips: 0 },
      phase: 'Failed',
      message: /AUC is .*; share of flipped/,
    },
    {
      name: 'of too few files',
      probeSet: { minAuc: 0.5 },
      report: { compared: 9, canary: { ...side, inconclusive: 11 } },
      phase: 'Inconclusive',
      message: /9 of 20 files were scored by both revisions, fewer than minFiles 10/,
    },
    {
      name: 'of too few answers',
      probeSet: { minAuc: 0.5 },
      report: { compared: 9, canary: { ...side, unanswered: 11, why: 'corrupt_media' } },
      phase: 'Inconclusive',
      message: /\(corrupt_media\)$/,
    },
    {
      name: 'of one class',
      probeSet: { minAuc: 0.5 },
      report: { canary: { ...side, auc: null } },
      phase: 'Inconclusive',
      message: /minAuc: the files do not give the AUC/,
    },
    {
      name: 'of one class that breaks another bound',
      probeSet: { minAuc: 0.5, maxFlips: 0 },
      report: { canary: { ...side, auc: null } },
      phase: 'Failed',
      message: /flipped/,
    },
    {
      name: 'of a canary alone that is held against nobody',
      probeSet: { maxAucDrop: 0.1 },
      report: { stable: undefined, flips: undefined },
      phase: 'Inconclusive',
      message: /maxAucDrop: the files do not give/,
    },
    {
      name: 'of a canary alone',
      probeSet: { minAuc: 0.9 },
      report: { stable: undefined },
      phase: 'Successful',
    },
    {
      name: 'of a canary that leaves files unanswered',
      probeSet: { minAuc: 0.9 },
      report: { canary: { ...side, unanswered: 2, why: 'inference_failed' } },
      phase: 'Inconclusive',
      message: /left 2 of 20 files unanswered \(inference_failed\)/,
    },
    {
      name: 'of files that neither answers',
      probeSet: { minAuc: 0.9 },
      report: { canary: { ...side, unanswered: 2 }, stable: { ...side, unanswered: 2 } },
      phase: 'Successful',
    },
  ];
  for (const { name, probeSet, report = {}, phase, message } of rows) {
    test(`${name} is ${phase}`, () => {
      const found = judgeProbe({ configMap: { name: 'c' }, ...probeSet }, aReport(report));
      assert.equal(found.phase, phase, found.message);
      if (message) assert.match(found.message ?? '', message);
    });
  }

  test('is told in a line', () => {
    const { value } = judgeProbe({ configMap: { name: 'c' }, minAuc: 0.9 }, aReport());
    assert.equal(
      value,
      '{"auc":0.95,"stableAuc":0.95,"accuracy":0.9,"maxScoreChange":0.1,"flips":0.05,"files":20,"compared":20,"inconclusive":0,"unanswered":0}',
    );
  });
});
